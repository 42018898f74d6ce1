import pg from 'pg';
import { inject } from 'vitest';

export const TEMPLATE = 'kandev_template';
let made = 0;

/** A migrated database of its own; `drop` when the test is over. */
export async function createDatabase(
  options: { empty?: boolean } = {},
): Promise<{ url: string; drop(): Promise<void> }> {
  const server = inject('postgresUrl');
  const name = `test_${process.pid}_${++made}`;
  await execute(server, `create database ${name}${options.empty ? '' : ` template ${TEMPLATE}`}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => execute(server, `drop database if exists ${name} with (force)`) };
}

/** Rows of one statement. */
export async function query<T extends object>(url: string, sql: string, parameters: unknown[] = []): Promise<T[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<T>(sql, parameters)).rows;
  } finally {
    await client.end();
  }
}

async function execute(url: string, sql: string): Promise<void> {
  await query(url, sql);
}
