import { sql } from 'kysely';
import { expect, it } from 'vitest';
import { openTestDatabase } from '../support/orm.js';

it('a server that stands still in a transaction loses it, and its locks, before its leases run out', async () => {
  const database = await openTestDatabase();
  try {
    const { rows } = await sql<object>`show idle_in_transaction_session_timeout`.execute(
      database.transactions.kysely(),
    );
    expect(rows).toEqual([{ idle_in_transaction_session_timeout: '10s' }]);
  } finally {
    await database.close();
  }
});
