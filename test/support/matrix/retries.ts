import { v7 as uuidv7 } from 'uuid';
import { expect } from 'vitest';
import { WAITER } from '../api-world.js';
import { READ, SIGNED_IN, taskFor, WRITE, type Cell, type Row, type Rows } from './row.js';

/** A run that was given up: of a task of its own for those who may, else an old one of a task that is done. */
async function letterOf(cell: Cell): Promise<string> {
  const { world, place, allowed } = cell;
  const id = uuidv7();
  const task = allowed ? await taskFor(cell, { agent_type: WAITER }) : place.finished.task;
  await world.database.query(
    `insert into runs (id, task_id, board_id, agent_type, state, attempt, epoch, requested_by, failure_code,
       queued_at, created_at, finished_at, dead_lettered_at)
     values ($1, $2, $3, $4, 'FAILED', 3, 3, $5, 'agent.lost', $6, $6, $6, $6)`,
    [id, task, place.board, WAITER, place.owner.userId, allowed ? new Date() : new Date('2020-01-01')],
  );
  return id;
}

const onLetter = async (cell: Cell) => ({ ids: { id: await letterOf(cell) } });

const REFUSALS: Partial<Record<ReturnType<Row['access']>, string>> = {
  403: 'board.forbidden',
  404: 'dead_letter.not_found',
};

interface Redriven {
  results: { id: string; ok: boolean; code: string | null }[];
}

/** The request itself is everybody's; each letter is redriven by those who may run its task, and by nobody else. */
async function onlyByEditors({ world, who, side }: Cell, answer: unknown): Promise<void> {
  const name = `redriveDeadLetters as ${who}, ${side}`;
  const { results } = answer as Redriven;
  const access = WRITE(who, side);
  expect.soft(results, name).toMatchObject([{ ok: access === 'ok', code: REFUSALS[access] ?? null }]);
  const { rows } = await world.database.query<{ redriven: boolean; runs: number }>(
    `select redriven_run_id is not null as redriven,
       (select count(*)::int from runs other where other.task_id = letter.task_id) as runs
     from runs letter where id = $1`,
    [results[0]?.id],
  );
  expect.soft(rows, name).toEqual([access === 'ok' ? { redriven: true, runs: 2 } : { redriven: false, runs: 1 }]);
}

export const RETRIES: Rows = {
  listRunAttempts: {
    access: READ,
    ok: 200,
    ask: ({ place }) => ({ ids: { taskId: place.task, runId: place.run } }),
  },
  listDeadLetters: { access: SIGNED_IN, ok: 200 },
  redriveDeadLetter: { access: WRITE, ok: 202, ask: onLetter },
  redriveDeadLetters: {
    access: SIGNED_IN,
    ok: 200,
    sides: true,
    ask: async (cell) => ({ body: { ids: [await letterOf(cell)] } }),
    after: onlyByEditors,
  },
  dismissDeadLetter: { access: WRITE, ok: 204, ask: onLetter },
};
