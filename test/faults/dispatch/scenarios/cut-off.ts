import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Dockerode from 'dockerode';
import { TcpProxy } from '../../../support/tcp-proxy.js';
import { RoughEngine } from '../../../support/rough-engine.js';
import { until } from '../../../support/until.js';
import type { Context, Scenario } from '../../scenario.js';
import type { ServerProcess } from '../../stream/server-process.js';
import { query } from '../../stream/world.js';
import { DOES } from '../agent.js';
import { DispatchTrial } from '../trial.js';
import type { Finding } from '../verdict.js';
import { expectEnds } from './by-hand.js';
import { allOn } from './frozen.js';

const LOST_SECONDS = 30; // the least that a server takes
const LIMIT_MS = 180_000; // a loss, a back-off, and another attempt
const PAIR = {
  KANDEV_HOST_LOST_SECONDS: String(LOST_SECONDS),
  ...{ KANDEV_RETRY_MAX_ATTEMPTS: '4', KANDEV_RETRY_BACKOFF_SECONDS: '1' },
};
const docker = new Dockerode();

/** What PostgreSQL and a server say to each other, which may stop to arrive on either side; no connection ends. */
async function wireTo(trial: DispatchTrial): Promise<{ url: string; deaf(isDeaf: boolean): void }> {
  const proxy = await TcpProxy.open(Number(new URL(trial.database).port));
  trial.world.later(() => proxy.close());
  let isDeaf = false;
  const pass = (bytes: Buffer): Buffer => (isDeaf ? Buffer.alloc(0) : bytes);
  proxy.wire = () => ({ up: pass, down: pass });
  return {
    url: proxy.through(trial.database),
    deaf: (now) => {
      isDeaf = now;
      if (!now) proxy.cutAll(); // what was lost on the way makes no sense any more
    },
  };
}

/** Starts a task and waits until it runs on the server's host: all others are drained meanwhile. */
async function beginOn(trial: DispatchTrial, server: ServerProcess): Promise<string> {
  const others = trial.members
    .filter((member) => member.server !== server)
    .map((member) => trial.hostId(member.server));
  const drain = async (what: 'drain' | 'undrain'): Promise<void> => {
    for (const id of others) await trial.admin.must(200, 'POST', `/orchestrator/hosts/${id}/${what}`);
  };
  await drain('drain');
  const id = await trial.begin(DOES.wait);
  await trial.reached(id, 'RUNNING');
  await drain('undrain');
  return id;
}

/** How an agent's container is: `absent`, `running`, `paused`, or ended. */
async function stateOf(agentId: string): Promise<string> {
  const seen = await docker
    .getContainer(`kandev-${agentId}`)
    .inspect()
    .catch(() => undefined);
  return seen?.State.Status ?? 'absent';
}

/** Watches how many agents of a task are at work at once, until it is told to stop; the most there were. */
function watch(trial: DispatchTrial, taskId: string): () => Promise<number> {
  const over = new AbortController();
  const sql = 'select id from agent_instances where task_id = $1';
  const done = (async () => {
    let most = 0;
    for (; !over.signal.aborted; await sleep(100)) {
      const agents = await query<{ id: string }>(trial.database, sql, [taskId]);
      const states = await Promise.all(agents.map(({ id }) => stateOf(id)));
      most = Math.max(most, states.filter((state) => state === 'running').length);
    }
    return most;
  })();
  return () => {
    over.abort();
    return done;
  };
}

async function cutOffHost({ world, step }: Context): Promise<Finding> {
  const trial = await DispatchTrial.open(world, PAIR);
  const wire = await wireTo(trial);
  const host = trial.member({ KANDEV_ROLE: 'runner', DATABASE_URL: wire.url });
  await host.start();
  const hostId = trial.hostId(host);

  // Others take its run: by then its agent stands, and when it is back it is removed.
  const taken = await beginOn(trial, host);
  const { agent_id: first } = await trial.reached(taken, 'RUNNING');
  const atWork = watch(trial, taken);
  wire.deaf(true);
  await allOn(trial, trial.hostId(trial.server));
  if ((await stateOf(first)) !== 'paused') throw new Error('the agent of a host that was cut off works on');
  step('its run is elsewhere, its agent stands');
  wire.deaf(false);
  await until('the agent of before to be removed', async () => (await stateOf(first)) === 'absent', LIMIT_MS);
  await trial.endAgent(taken);
  await trial.allEnded(LIMIT_MS);
  const most = await atWork();
  if (most > 1) throw new Error(`${most} agents of one task were at work at once`);

  // Nobody takes it, as those that could have are gone as well: it goes on when the host is back.
  const kept = await beginOn(trial, host);
  const { agent_id: second } = await trial.reached(kept, 'RUNNING');
  await sleep(6_000); // a heartbeat that knows of the other host
  wire.deaf(true);
  await trial.server.kill();
  await until('the agent to stand', async () => (await stateOf(second)) === 'paused', LIMIT_MS);
  wire.deaf(false);
  await until('the agent to go on', async () => (await stateOf(second)) === 'running', LIMIT_MS);
  step('nobody has taken its run: the agent goes on');

  // Alone, as far as it knows: nobody could take it.
  await query(trial.database, 'delete from agent_hosts where id <> $1', [hostId]);
  await sleep(6_000);
  wire.deaf(true);
  await sleep((LOST_SECONDS + 10) * 1_000);
  if ((await stateOf(second)) !== 'running') throw new Error('the agent of the only host does not live on');
  wire.deaf(false);
  step('the only host: its agent goes on all the time');
  await trial.server.start();
  await trial.endAgent(kept);
  await trial.allEnded(LIMIT_MS);
  await expectEnds(trial, [taken, kept], 'COMPLETED');
  return trial.judge('cut off three times, with others, with others that die, alone');
}

export const cutOff: Scenario<Finding> = {
  name: 'cut-off',
  about: 'a host that PostgreSQL is out of reach for, without a word: agents stand before others take their runs',
  run: cutOffHost,
};

interface Waiting {
  run_state: string;
  waiting_for: { reason: string; message: string } | null;
}

export const engineGone: Scenario<Finding> = {
  name: 'engine-gone',
  about:
    'an engine that does not answer any more: a stop says so, one by force ends the run, and no second agent begins',
  async run({ world, step }) {
    const proxy = new RoughEngine(join(world.directory, 'rough.sock'));
    await proxy.open();
    world.later(() => proxy.close());
    const trial = await DispatchTrial.open(world, {}, { host: proxy.address });
    const id = await trial.begin(DOES.wait);
    const { agent_id } = await trial.reached(id, 'RUNNING');
    const status = () => trial.admin.must<Waiting>(200, 'GET', `/orchestrator/tasks/${id}/status`);
    const says = (reason: string) =>
      until(`the status to say ${reason}`, async () => (await status()).waiting_for?.reason === reason, LIMIT_MS);
    proxy.plan = () => ({ isSwallowed: true });
    await trial.stop(id);
    await says('engine');
    step((await status()).waiting_for?.message ?? '');
    await trial.stop(id, { force: true });
    const begun = performance.now();
    await trial.allEnded(LIMIT_MS);
    step(`ended ${((performance.now() - begun) / 1000).toFixed(0)} s after it was asked by force`);
    const sql = 'select failure_code from agent_instances where id = $1';
    const [agent] = await query<{ failure_code: string }>(trial.database, sql, [agent_id]);
    if (agent?.failure_code !== 'agent.unreachable') throw new Error(`it ended with ${agent?.failure_code}`);
    if ((await stateOf(agent_id)) !== 'running') throw new Error('the agent is gone: nothing was tried here');
    await trial.admin.must(202, 'POST', '/orchestrator/trigger', { task_id: id, force: true });
    await says('host'); // no engine, so nobody takes it
    const atWork = watch(trial, id);
    proxy.plan = () => undefined;
    proxy.cutAll();
    await until('the agent of before to be removed', async () => (await stateOf(agent_id)) === 'absent', LIMIT_MS);
    await trial.endAgent(id);
    await trial.allEnded(LIMIT_MS);
    const most = await atWork();
    if (most > 1) throw new Error(`${most} agents of one task were at work at once`);
    if ((await status()).run_state !== 'COMPLETED') throw new Error('the run after it has not completed');
    return trial.judge('one agent left behind and removed');
  },
};
