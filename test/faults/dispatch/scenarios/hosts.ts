import { setTimeout as sleep } from 'node:timers/promises';
import type { PrivateEngine } from '../../../support/private-engine.js';
import type { Context, Scenario } from '../../scenario.js';
import type { ServerProcess } from '../../stream/server-process.js';
import { query } from '../../stream/world.js';
import { DOES } from '../agent.js';
import { DispatchTrial } from '../trial.js';
import type { Finding } from '../verdict.js';
import { engineOf } from './engines.js';
import { allOn, requireCompleted } from './frozen.js';

const HOSTS = 3;
const AWAY_MS = 3_000;
const SETTINGS = {
  KANDEV_HOST_LOST_SECONDS: '30', // the least that a server takes
  ...{ KANDEV_RETRY_MAX_ATTEMPTS: '5', KANDEV_RETRY_BACKOFF_SECONDS: '1' },
};

interface Host {
  server: ServerProcess;
  engine: PrivateEngine;
}

/** Two hosts that hold back, or hold nothing back any more. */
async function drain(trial: DispatchTrial, hosts: readonly Host[], what: 'drain' | 'undrain'): Promise<void> {
  for (const { server } of hosts)
    await trial.admin.must(200, 'POST', `/orchestrator/hosts/${trial.hostId(server)}/${what}`);
}

async function open({ world }: Context): Promise<{ trial: DispatchTrial; hosts: Host[] }> {
  const engines: PrivateEngine[] = [];
  for (let n = 0; n < HOSTS; n++) engines.push(await engineOf(world, { cgroupParent: `/kandev-faults-${n}` }));
  // The one that answers serves no engine: it outlives all of them.
  const trial = await DispatchTrial.open(world, { ...SETTINGS, KANDEV_ROLE: 'api' });
  const hosts = engines.map((engine) => {
    const reach = { host: engine.host, engine: engine.docker };
    return { engine, server: trial.member({ KANDEV_ROLE: 'runner' }, reach) };
  });
  // Runs are queued, and hosts looked after, by whoever is not only a runner.
  const keeper = trial.member({ KANDEV_ROLE: 'orchestrator' });
  await keeper.start();
  for (const { server } of hosts) await server.start();
  return { trial, hosts };
}

/** An engine of one host dies, and comes back while its server waits for it; then a whole host dies for good. */
async function killOne(context: Context): Promise<Finding> {
  const { random, quick, step } = context;
  const { trial, hosts } = await open(context);
  const [doomed, ...others] = hosts as [Host, ...Host[]];
  const rounds = quick ? 1 : 5;
  for (let round = 0; round < rounds; round++) {
    const works = await Promise.all(Array.from({ length: 4 }, () => trial.begin(DOES.work(random() * 5))));
    const waits = await Promise.all(Array.from({ length: 2 }, () => trial.begin(DOES.wait)));
    for (const id of waits) await trial.reached(id, 'RUNNING');
    await others[0]!.engine.kill();
    await sleep(random() * AWAY_MS);
    await others[0]!.engine.start(); // with live-restore: its agents have gone on
    for (const id of waits) await trial.endAgent(id);
    await trial.allEnded(180_000);
    step(`round ${round + 1} of ${rounds}: ${works.length + waits.length} tasks`);
  }
  await drain(trial, others, 'drain');
  const ids = await Promise.all(Array.from({ length: 4 }, () => trial.begin(DOES.wait)));
  for (const id of ids) await trial.reached(id, 'RUNNING');
  await drain(trial, others, 'undrain');
  await drain(trial, others.slice(1), 'drain'); // so that it is known where all of them go
  await Promise.all([doomed.server.kill(), doomed.engine.kill()]);
  await allOn(trial, trial.hostId(others[0]!.server));
  for (const id of ids) await trial.endAgent(id);
  await trial.allEnded(180_000);
  await requireCompleted(trial);
  const [lost] = await query<{ n: number }>(
    trial.database,
    `select count(*)::int as n from run_attempts where state = 'LOST'`,
  );
  // What it had comes back with it, and is nobody's.
  await doomed.engine.start();
  await doomed.server.start();
  return trial.judge(`${HOSTS} hosts, one died with ${lost?.n} attempts`);
}

export const hostKilled: Scenario<Finding> = {
  name: 'host-killed',
  about: 'several dockerd on one machine as hosts: one is killed and comes back, one dies with its server',
  run: killOne,
};
