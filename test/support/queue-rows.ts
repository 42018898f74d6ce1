import pg from 'pg';

/** Rows of the queue, made by hand; whatever is not given is such that nothing holds a run up. */
export class QueueRows {
  private constructor(private readonly client: pg.Client) {}

  static async open(url: string): Promise<QueueRows> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    return new QueueRows(client);
  }

  async close(): Promise<void> {
    await this.client.end();
  }

  async query<T extends object>(sql: string, values: unknown[] = []): Promise<T[]> {
    return (await this.client.query<T>(sql, values)).rows;
  }

  /** Nothing queued, no host, no limit. Boards, tasks and users stay. */
  async clear(): Promise<void> {
    await this.query('truncate runs, board_shares, user_shares, run_limits, agent_type_needs, agent_hosts cascade');
  }

  async user(): Promise<string> {
    const id = crypto.randomUUID();
    await this.insert('users', { id, email: `${id}@example.com`, username: id.slice(0, 30), password_hash: 'x' });
    return id;
  }

  async board(owner_id: string, name = 'Board'): Promise<string> {
    const id = crypto.randomUUID();
    await this.insert('boards', { id, name, owner_id });
    await this.insert('board_members', { board_id: id, user_id: owner_id, role: 'owner' });
    return id;
  }

  async task(board_id: string, created_by: string, columns: Record<string, unknown> = {}): Promise<string> {
    const id = crypto.randomUUID();
    await this.insert('tasks', { id, board_id, created_by, title: 'Task', description: 'd', ...columns });
    return id;
  }

  /** A host that is up, with room for everything. */
  async host(columns: Record<string, unknown> = {}): Promise<string> {
    const id = crypto.randomUUID();
    const offer = { name: `host-${id.slice(0, 8)}`, slots: 1000, memory_bytes: 2 ** 40, cpus: 1000 };
    const times = { started_at: new Date(), heartbeat_at: new Date() };
    const row = { id, server_version: '1', ...offer, ...times, ...columns };
    await this.insert('agent_hosts', row);
    return row.id;
  }

  /** An agent type, if there is none of that name, and what its agents take. */
  async needs(agent_type: string, columns: Record<string, unknown> = {}): Promise<void> {
    await this.query(
      `insert into agent_types (name, docker_image, default_resources) values ($1, 'none', '{}') on conflict (name) do nothing`,
      [agent_type],
    );
    await this.insert('agent_type_needs', { agent_type, ...columns });
  }

  async limit(scope: string, subject: string, columns: Record<string, unknown>): Promise<void> {
    await this.insert('run_limits', { scope, subject, ...columns });
  }

  /** A queued run, or one in another state. */
  async run(
    of: { task_id: string; board_id: string; requested_by: string | null },
    columns: Record<string, unknown> = {},
  ): Promise<string> {
    const id = crypto.randomUUID();
    await this.insert('runs', { id, agent_type: 'demo-agent', ...of, ...columns });
    return id;
  }

  private async insert(table: string, row: Record<string, unknown>): Promise<void> {
    const names = Object.keys(row);
    const places = names.map((_, index) => `$${index + 1}`);
    await this.query(`insert into ${table} (${names.join(', ')}) values (${places.join(', ')})`, Object.values(row));
  }
}
