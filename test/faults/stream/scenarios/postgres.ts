import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive } from '../../../support/processes.js';
import { commitCutter, type CutPlace } from '../../../support/commit-cutter.js';
import { TcpProxy } from '../../../support/tcp-proxy.js';
import { until } from '../../../support/until.js';
import { steady, type Context, type Scenario } from '../scenario.js';
import { StreamTrial } from '../trial.js';
import type { Numbered } from '../verdict.js';
import type { PrivatePostgres } from '../world.js';

const RATE = 1_000;
const FLOOD_RATE = 5_000;
/** The statement that stores a batch is a transaction of its own. */
const BATCH = /insert into acp_messages/i;

/** A PostgreSQL that can be killed; the server reaches it by way of a proxy, as its port changes with each start. */
export class MortalPostgres {
  private constructor(
    private readonly context: Context,
    private readonly directory: string,
    readonly proxy: TcpProxy,
    private running: PrivatePostgres,
  ) {}

  static async open(context: Context, place?: string): Promise<MortalPostgres> {
    const directory = place ?? context.world.folder('mortal');
    const running = await context.world.postgres(directory);
    const proxy = await TcpProxy.open(running.port);
    context.world.later(() => proxy.close());
    return new MortalPostgres(context, directory, proxy, running);
  }

  /** As the server and the checker reach a new database, through the proxy. */
  async database(): Promise<string> {
    return this.proxy.through(await this.context.world.databaseIn(this.running.url));
  }

  /** Ends it without a chance to write anything: by an immediate shutdown, or with SIGKILL. */
  async crash(signal: 'SIGQUIT' | 'SIGKILL'): Promise<void> {
    const pid = this.pid();
    process.kill(pid, signal);
    this.proxy.target = undefined;
    await until('PostgreSQL to be gone', () => !isAlive(pid));
    this.proxy.cutAll();
  }

  async comeBack(): Promise<void> {
    this.running = await this.context.world.postgres(this.directory);
    this.proxy.target = this.running.port;
  }

  /** Starts it if it has ended by itself; returns whether it had. */
  async revive(): Promise<boolean> {
    if (isAlive(this.pid())) return false;
    await this.comeBack();
    return true;
  }

  /** Of the postmaster; 0 when it has put its file away. */
  private pid(): number {
    const file = join(this.running.dataDirectory, 'postmaster.pid');
    return existsSync(file) ? Number(readFileSync(file, 'utf8').split('\n')[0]) : 0;
  }
}

async function atWork(
  context: Context,
  postgres: MortalPostgres,
  agents: number,
  rate: number,
): Promise<{ trial: StreamTrial; all: Numbered[]; stop: string }> {
  const stop = join(context.world.directory, 'stop');
  const trial = await StreamTrial.open(context.world, { database: await postgres.database() });
  const all: Numbered[] = [];
  for (let i = 0; i < agents; i++) all.push(await trial.begin(steady(context, stop, rate), 3));
  for (const numbered of all) await trial.grown(numbered, 100);
  return { trial, all, stop };
}

export const postgresCrash: Scenario = {
  name: 'postgres-crash',
  about: 'PostgreSQL stopped hard in mid-batch: immediate shutdown and SIGKILL of the postmaster, in turns',
  async run(context) {
    const crashes = context.quick ? 2 : 12;
    const postgres = await MortalPostgres.open(context);
    const { trial, all, stop } = await atWork(context, postgres, 2, RATE);
    for (let done = 0; done < crashes; done++) {
      await trial.grown(all[done % all.length]!, 1 + Math.floor(context.random() * 1_500));
      await postgres.crash(done % 2 === 0 ? 'SIGQUIT' : 'SIGKILL');
      await postgres.comeBack();
    }
    writeFileSync(stop, '');
    return trial.judge(all, `${crashes} crashes`);
  },
};

export const postgresDown: Scenario = {
  name: 'postgres-down',
  about: 'PostgreSQL away for a minute while agents flood',
  async run(context) {
    const seconds = context.quick ? 5 : 60;
    const postgres = await MortalPostgres.open(context);
    const { trial, all, stop } = await atWork(context, postgres, 2, FLOOD_RATE);
    await postgres.crash('SIGQUIT');
    await sleep(seconds * 1_000);
    await postgres.comeBack();
    for (const numbered of all) await trial.grown(numbered, 100);
    writeFileSync(stop, '');
    return trial.judge(all, `${seconds} s away`);
  },
};

export const commitCut: Scenario = {
  name: 'commit-cut',
  about: 'the connection cut at a commit: after it was forwarded and before the reply, or before it',
  async run(context) {
    const { random } = context;
    const wanted = context.quick ? 5 : 150;
    const postgres = await MortalPostgres.open(context);
    const { trial, all, stop } = await atWork(context, postgres, 2, RATE);
    const cuts = { before: 0, after: 0 };
    const chance = 1 / 12; // of all commits: most batches get through, as they must for anything to be learnt
    const decide = (): CutPlace | undefined => {
      if (cuts.after >= wanted || random() > chance) return undefined;
      const place = random() < 0.75 ? 'after' : 'before';
      cuts[place]++;
      return place;
    };
    postgres.proxy.wire = (cut) => commitCutter(cut, decide, BATCH);
    postgres.proxy.cutAll(); // new connections are read along with
    await until('enough cuts', () => cuts.after >= wanted, 300_000);
    writeFileSync(stop, '');
    return trial.judge(all, `${cuts.after} cut after COMMIT, ${cuts.before} before`);
  },
};
