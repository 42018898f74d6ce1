import type { CheckOutcome, CheckRow } from './image-check.types.js';

const MARK: Record<CheckOutcome, string> = { pass: 'ok', warn: 'hm', fail: 'NO', skip: '--' };

/** The rows for people at a terminal. */
export function checkTable(imageName: string, rows: readonly CheckRow[]): string {
  const width = Math.max(...rows.map(({ promise }) => promise.length));
  const lines = rows.map(({ promise, outcome, detail }) => `${MARK[outcome]}  ${promise.padEnd(width)}  ${detail}`);
  const count = (outcome: CheckOutcome): number => rows.filter((row) => row.outcome === outcome).length;
  const verdict = count('fail') === 0 ? 'keeps the contract' : 'does not keep the contract';
  const rest = `${count('pass')} ok, ${count('warn')} could be better, ${count('fail')} failed, ${count('skip')} skipped`;
  return `\n${lines.join('\n')}\n\n${imageName} ${verdict}: ${rest}\n`;
}
