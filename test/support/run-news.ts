import pg from 'pg';
import { until } from './until.js';

const CHANNEL = 'kandev_runs';

/** Hears what PostgreSQL tells the servers about runs, as they hear it; see {@link hearRuns}. */
export interface RunNewsEar {
  /** Resolves when this was told since the listening began: '' that there is something to claim, or a run's id. */
  told(payload: string): Promise<unknown>;
  close(): Promise<void>;
}

/** Listens beside the servers of a database, of which one listens itself by then. */
export async function hearRuns(url: string): Promise<RunNewsEar> {
  const client = new pg.Client({ connectionString: url });
  const heard: string[] = [];
  await client.connect();
  await until('a server to listen', async () => {
    const { rows } = await client.query(
      `select from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and query ~ $1`,
      [`^listen .*${CHANNEL}`],
    );
    return rows.length > 0;
  });
  client.on('notification', ({ payload = '' }) => heard.push(payload));
  await client.query(`listen ${CHANNEL}`);
  return {
    told: (payload) => until(`"${payload}" to be told`, () => heard.includes(payload)),
    close: () => client.end(),
  };
}
