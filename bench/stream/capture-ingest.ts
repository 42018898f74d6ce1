/** The server's own capture in a process of its own: the same file, as the output of an attempt, and nobody listening. */
import { linkSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EventBus } from '@nestjs/cqrs';
import { MikroORM } from '@mikro-orm/postgresql';
import pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import type * as MigrationsModule from '../../migrations/index.js';
import type { Config } from '../../src/common/config/config.js';
import type * as OrmModule from '../../src/common/persistence/orm.js';
import type * as TransactionsModule from '../../src/common/persistence/transactions.js';
import type * as LogModule from '../../src/modules/agent/app/message-log.js';
import type * as CaptureModule from '../../src/modules/agent/app/output-capture.js';
import type * as ClockModule from '../../src/modules/agent/domain/agent-clock.js';
import type * as RedactionModule from '../../src/modules/agent/domain/redaction.js';
import type * as DirectoriesModule from '../../src/modules/agent/infra/files/host-run-directories.js';
import { Build } from '../lib/build.js';
import { answerQuestions } from '../lib/child-script.js';
import type { Ingested, IngestQuestion } from './ingest.js';

const EPOCH = 1;
const HOUR_S = 3600;
const POOL_SIZE = 20; // the server's own
const UNFORESEEN = (): never => {
  throw new Error('the capture has found a broken limit');
};

let open: { orm: MikroORM; database: pg.Client; modules: Awaited<ReturnType<typeof load>>; directory: string };

answerQuestions(async (question: IngestQuestion) => {
  if (question.ask === 'store') return store(question.file);
  const modules = await load(question.dist);
  const options = modules.orm.ormOptions(question.database_url, [], modules.migrations.migrations, POOL_SIZE, {
    discovery: { warnWhenNoEntities: false },
  });
  const orm = await MikroORM.init(options);
  await modules.orm.migrate(orm);
  const database = new pg.Client({ connectionString: question.database_url, application_name: 'bench' });
  await database.connect();
  await database.query('set session_replication_role = replica'); // rows that refer to nobody
  open = { orm, database, modules, directory: question.directory };
  return undefined;
});

async function load(dist: string) {
  const build = Build.at(dist);
  const agent = 'src/modules/agent';
  return {
    orm: await build.import<typeof OrmModule>('src/common/persistence/orm'),
    migrations: await build.import<typeof MigrationsModule>('migrations/index'),
    ...(await build.import<typeof TransactionsModule>('src/common/persistence/transactions')),
    ...(await build.import<typeof LogModule>(`${agent}/app/message-log`)),
    ...(await build.import<typeof CaptureModule>(`${agent}/app/output-capture`)),
    ...(await build.import<typeof ClockModule>(`${agent}/domain/agent-clock`)),
    ...(await build.import<typeof RedactionModule>(`${agent}/domain/redaction`)),
    ...(await build.import<typeof DirectoriesModule>(`${agent}/infra/files/host-run-directories`)),
  };
}

async function store(file: string): Promise<Ingested> {
  const { orm, database, modules, directory } = open;
  const [task_id, run_id, agent_id, board_id] = [uuidv7(), uuidv7(), uuidv7(), uuidv7()];
  await database.query(
    `insert into tasks (id, board_id, title, description, created_by) values ($1, $2, 't', 'd', $3)`,
    [...[task_id, board_id, uuidv7()]],
  );
  await database.query(
    `insert into agent_instances (id, task_id, board_id, run_id, attempt, epoch, agent_type, runtime, image_name, status)
     values ($1, $2, $3, $4, 1, $5, 'a', 'process', 'a', 'RUNNING')`,
    [agent_id, task_id, board_id, run_id, EPOCH],
  );
  const home = join(directory, agent_id);
  mkdirSync(home, { recursive: true });
  linkSync(file, join(home, 'out'));
  writeFileSync(join(home, 'err'), '');
  const started = performance.now();
  const target = { task_id, run_id, agent_id, epoch: EPOCH, stdout_offset: 0, stderr_offset: 0 };
  const capture = new modules.OutputCapture(target, {
    transactions: new modules.Transactions(orm),
    log: new modules.MessageLog({ publish: () => undefined } as unknown as EventBus),
    runDirectories: new modules.HostRunDirectories({ runs_directory: directory } as Config),
    redactor: modules.Redactor.none,
    breach: UNFORESEEN,
    limits: {
      max_output_bytes: Number.MAX_SAFE_INTEGER,
      inactivity_timeout_seconds: HOUR_S,
      wall_clock_timeout_seconds: HOUR_S,
    },
    failures: { inactive: UNFORESEEN, outOfTime: UNFORESEEN },
    clock: new modules.AgentClock({ started_at: new Date(), paused_ms: 0 }),
  });
  capture.agentHasEnded();
  await capture.run(new AbortController().signal);
  const took = performance.now() - started;
  const { rows } = await database.query<{ head_seq: string }>('select head_seq from task_streams where task_id = $1', [
    task_id,
  ]);
  await database.query('truncate acp_messages, task_stream_segments');
  rmSync(home, { recursive: true });
  return { ms: took, lines: Number(rows[0]?.head_seq) };
}
