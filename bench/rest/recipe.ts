import { isDeepStrictEqual } from 'node:util';
import type { Statement } from './statement-log.js';

/** Where a parameter of a statement comes from when the statement is sent again for another request. */
export type Source =
  | { from: 'constant'; value: string | null }
  /** Of the request's path or body. */
  | { from: 'input'; name: string }
  /** A new id; the same number is the same id. */
  | { from: 'new_id'; number: number }
  | { from: 'now' };

/** One statement, for any request. */
export interface RecipeStep {
  text: string;
  parameters: Source[];
}

/** What one operation sends to the database: statement by statement in one transaction, or outside any. */
export interface Recipe {
  transaction: boolean;
  steps: RecipeStep[];
}

/** One observed request: what it was about, and every statement of the server from it until quiet. */
export interface Observation {
  input: Record<string, string>;
  statements: Statement[];
}

const UUID = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/;
const TIME = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d/;

/**
 * The statements of an operation: those that every observed request has sent. What others send meanwhile (loops that
 * look for work) is not in each of them, and what follows the commit of a write is not the request's any more.
 */
export function recipeOf(observations: readonly Observation[], written?: string): Recipe {
  const units = observations.map(({ statements }) => unitsOf(statements, written));
  const [first = [], ...others] = units;
  const common = first.filter((unit) => others.every((list) => list.some((other) => textOf(other) === textOf(unit))));
  const steps = common.flatMap((unit) => {
    const same = units.map((list) => list.find((other) => textOf(other) === textOf(unit)) ?? []);
    return unit.map((_, n) => same.map((each) => each[n]).filter((statement) => statement !== undefined));
  });
  if (steps.length === 0) throw new Error('the requests have no statement in common');
  const ids: string[] = []; // of the first request, in order of appearance
  return {
    transaction: common.some((unit) => unit.length > 1),
    steps: steps.map((seen) => ({
      text: seen[0]?.text ?? '',
      parameters: (seen[0]?.parameters ?? []).map((value, n) =>
        sourceOf(
          value,
          seen.every(({ parameters }) => parameters[n] === value),
          observations[0]?.input ?? {},
          ids,
        ),
      ),
    })),
  };
}

/** Where two servers differ in what they send for the same operation; null when they don't. */
export function difference(one: Recipe, other: Recipe): string | null {
  const [texts, others] = [one.steps.map(({ text }) => text), other.steps.map(({ text }) => text)];
  if (isDeepStrictEqual(texts, others)) return null;
  return `${texts.length} statements:\n${texts.join('\n')}\nagainst ${others.length}:\n${others.join('\n')}`;
}

/** Single statements, and transactions with all of theirs; up to the transaction that wrote into the table `written`. */
function unitsOf(statements: readonly Statement[], written?: string): Statement[][] {
  const units: Statement[][] = [];
  const open = new Map<number, Statement[]>();
  for (const statement of statements) {
    const unit = open.get(statement.pid);
    if (unit) {
      unit.push(statement);
      if (!/^(commit|rollback)\b/i.test(statement.text)) continue;
      open.delete(statement.pid);
      if (written !== undefined && unit.some(({ text }) => text.startsWith(`insert into "${written}"`))) return units;
    } else {
      const begun = [statement];
      units.push(begun);
      if (/^(begin|start transaction)\b/i.test(statement.text)) open.set(statement.pid, begun);
    }
  }
  return units;
}

function textOf(unit: readonly Statement[]): string {
  return unit.map(({ text }) => text).join(';');
}

function sourceOf(value: string | null, constant: boolean, input: Record<string, string>, ids: string[]): Source {
  const known = Object.entries(input).find(([, given]) => given === value);
  if (known) return { from: 'input', name: known[0] };
  if (constant) return { from: 'constant', value };
  if (value !== null && UUID.test(value)) {
    if (!ids.includes(value)) ids.push(value);
    return { from: 'new_id', number: ids.indexOf(value) };
  }
  if (value !== null && TIME.test(value)) return { from: 'now' };
  throw new Error(`a parameter changes from request to request, and nobody knows where from: ${value}`);
}
