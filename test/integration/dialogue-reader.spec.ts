import { randomUUID } from 'node:crypto';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Config } from '../../src/common/config/config.js';
import { DialogueReader } from '../../src/modules/agent/app/dialogue-reader.js';
import { Redactor, REDACTED } from '../../src/modules/agent/domain/redaction.js';
import { HostRunDirectories } from '../../src/modules/agent/infra/files/host-run-directories.js';
import { pieceOf } from '../../src/modules/session/domain/dialogue/chunks.js';
import { until } from '../support/until.js';

/** As long as tokens are; none of its pieces is like another one. */
const TOKEN = Array.from({ length: 1_500 }, (_, n) => String.fromCodePoint(0x41 + ((n * n + 7 * n) % 57))).join('');
const redactor = Redactor.of([TOKEN]);

let home: string;
let agent: string;
let reader: DialogueReader;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'kandev-integration-'));
  agent = randomUUID();
  mkdirSync(join(home, agent));
  const directories = new HostRunDirectories({ runs_directory: home } as Config);
  reader = new DialogueReader(agent, { stdout: 0, stderr: 0 }, directories, redactor, pieceOf);
});

afterEach(async () => {
  await reader.close();
  rmSync(home, { recursive: true, force: true });
});

/** The agent says these texts, a line each. */
function says(...texts: string[]): void {
  const lines = texts.map((text) => {
    const update = { sessionUpdate: 'agent_message_chunk', content: { type: 'text', text } };
    const filling = 'x'.repeat(100); // as large as they really are
    return JSON.stringify({ jsonrpc: '2.0', method: 'session/update', params: { sessionId: filling, update } });
  });
  appendFileSync(join(home, agent, 'out'), lines.map((line) => `${line}\n`).join(''));
}

/** What is read at once becomes one message of the stream; undefined where nothing is. */
async function read(atEnd = false): Promise<string | undefined> {
  const output = await reader.read(atEnd, true);
  if (!output) return undefined;
  const text = (output.heard ?? []).map((one) => ('line' in one ? (pieceOf(one.line)?.text ?? '') : '')).join('');
  return redactor.text(text);
}

const pieces = (text: string, size: number) => text.match(new RegExp(`.{1,${size}}`, 'gs')) ?? [];

describe('the reader of a dialogue', () => {
  it('takes in a token in pieces when all of it is there, though that is more than it reads at once', async () => {
    says('It is ', ...pieces(TOKEN, 2).slice(0, -1));
    expect(await read()).toBe('It is ');
    expect(await read()).toBeUndefined();
    says(...pieces(TOKEN, 2).slice(-1), '.');
    expect(await read()).toBe(`${REDACTED}.`);
  });

  it('waits for a token that is said slowly, from the last piece on', async () => {
    const all = pieces(TOKEN, 300);
    for (const piece of all.slice(0, -1)) {
      says(piece);
      const since = performance.now();
      // A second of it is not enough to be let go of.
      await until('a second', async () => {
        expect(await read()).toBeUndefined();
        return performance.now() - since > 700;
      });
    }
    says(...all.slice(-1), '.');
    expect(await read()).toBe(`${REDACTED}.`);
  });

  it('does not wait for ever for what is no token, and takes in everything at the end', async () => {
    says('Done', TOKEN.slice(0, 3));
    expect(await read()).toBe('Done');
    expect(await until('the rest', () => read())).toBe(TOKEN.slice(0, 3));
    says(...pieces(`${TOKEN}|${TOKEN.slice(0, 3)}`, 3));
    let rest = '';
    for (let said = await read(true); said !== undefined; said = await read(true)) rest += said;
    expect(rest).toBe(`${REDACTED}|${TOKEN.slice(0, 3)}`);
  });
});
