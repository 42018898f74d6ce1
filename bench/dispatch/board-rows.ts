import type pg from 'pg';

/** A user to whom everything belongs, and an agent type that takes nothing of its host. */
export async function addOwner(db: pg.Pool, agentType: string): Promise<void> {
  await db.query(`insert into users (email, username, password_hash) values ('a@example.com', 'a', 'x')`);
  await db.query(`insert into agent_types (name, docker_image, default_resources) values ($1, 'none', '{}')`, [
    agentType,
  ]);
  await db.query(`insert into agent_type_needs (agent_type) values ($1)`, [agentType]);
}

/** A board of that user; returns its id. */
export async function addBoard(db: pg.Pool, n: number): Promise<string> {
  const { rows } = await db.query<{ id: string }>(
    `insert into boards (name, owner_id) select 'Board ' || $1::int, id from users returning id`,
    [n],
  );
  return rows[0]?.id ?? '';
}

/** Queues runs of these ids, each of a task of its own. */
export async function queueRuns(
  db: pg.Pool,
  {
    board_id,
    ids,
    agent_type,
    priority,
  }: { board_id: string; ids: readonly string[]; agent_type: string; priority: number },
): Promise<void> {
  await db.query(
    `with made as (
       insert into tasks (id, board_id, title, description, created_by)
       select run_id, $1, 'Task', 'Waits.', users.id from users, unnest($2::uuid[]) run_id
       returning id, board_id, created_by
     )
     insert into runs (id, task_id, board_id, agent_type, priority, requested_by)
     select id, id, board_id, $3, $4, created_by from made`,
    [board_id, ids, agent_type, priority],
  );
}
