import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { World } from '../lib/world.js';

/** A statement as PostgreSQL received it; parameters as texts, null for NULL. */
export interface Statement {
  pid: number;
  text: string;
  parameters: (string | null)[];
}

const QUIET_MS = 300; // what a request sets off in the background ends within this on an idle server

/** Runs `work`, waits until it is quiet, and returns all statements that any session sent meanwhile. */
export async function statementsDuring(world: World, work: () => Promise<void>): Promise<Statement[]> {
  const from = statSync(world.postgresLog).size;
  await work();
  await sleep(QUIET_MS);
  return parseStatements(readFrom(world.postgresLog, from));
}

/** Lets PostgreSQL log every statement with its parameters, or stops that again. */
export async function logStatements(world: World, on: boolean): Promise<void> {
  const settings = { log_statement: 'all', log_error_verbosity: 'default', log_parameter_max_length: '-1' };
  const db = world.database('postgres');
  for (const [name, value] of Object.entries(settings))
    await db.query(on ? `alter system set ${name} = '${value}'` : `alter system reset ${name}`);
  await db.query('select pg_reload_conf()');
  await sleep(QUIET_MS); // sessions look for it between two statements
}

/** Reads what `log_statement` has written; a statement of several lines goes on behind a tab. */
export function parseStatements(log: string): Statement[] {
  const statements: Statement[] = [];
  for (const entry of log.split(/\n(?!\t)/)) {
    const [, pid, kind, rest = ''] = /^\S+ \S+ \S+ \[(\d+)\] (LOG|DETAIL): {2}([^]*)$/.exec(entry) ?? [];
    const content = rest.replaceAll('\n\t', '\n');
    const [, text] = /^(?:statement|execute [^:]+): ([^]*)$/.exec(content) ?? [];
    if (kind === 'LOG' && text !== undefined) statements.push({ pid: Number(pid), text, parameters: [] });
    const last = statements.findLast((statement) => statement.pid === Number(pid));
    if (kind === 'DETAIL' && last && /^parameters: /i.test(content)) last.parameters = parseParameters(content);
  }
  return statements.map(withParameters);
}

/** The ORM writes values into the text of an insert; taken out of it again, the text is the same for every row. */
function withParameters({ pid, text, parameters }: Statement): Statement {
  if (parameters.length > 0 || !/^insert into /i.test(text)) return { pid, text, parameters };
  const values: string[] = [];
  const outer = text.replaceAll(/'((?:[^']|'')*)'/g, (_, quoted: string) => {
    values.push(quoted.replaceAll("''", "'"));
    return `$${values.length}`;
  });
  return { pid, text: outer, parameters: values };
}

function parseParameters(detail: string): (string | null)[] {
  const parameters = detail.matchAll(/\$(\d+) = (?:NULL|'((?:[^']|'')*)')/g);
  return [...parameters].map(([, , quoted]) => (quoted === undefined ? null : quoted.replaceAll("''", "'")));
}

function readFrom(path: string, position: number): string {
  const file = openSync(path, 'r');
  try {
    const buffer = Buffer.alloc(fstatSync(file).size - position);
    readSync(file, buffer, 0, buffer.length, position);
    return buffer.toString();
  } finally {
    closeSync(file);
  }
}
