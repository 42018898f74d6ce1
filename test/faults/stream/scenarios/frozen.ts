import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ServerProcess } from '../server-process.js';
import { steady, type Context, type Scenario } from '../scenario.js';
import { StreamTrial } from '../trial.js';
import type { Numbered, Tally } from '../verdict.js';

const LEASE_MS = 22_000; // a lease is good for 20 s
const RATE = 1_000;

/** Two servers with one home and one database, of which the first is at work. */
async function pair(
  context: Context,
): Promise<{ trial: StreamTrial; second: ServerProcess; all: Numbered[]; stop: string }> {
  const stop = join(context.world.directory, 'stop');
  const trial = await StreamTrial.open(context.world);
  const all = [await trial.begin(steady(context, stop, RATE), 3)];
  await trial.grown(all[0]!, 100);
  return { trial, second: new ServerProcess(context.world, trial.server.place), all, stop };
}

/** The first server freezes at a point of its work, the second takes over, and the first wakes. */
async function freezeAt(context: Context, point: string): Promise<Tally> {
  const { trial, second, all, stop } = await pair(context);
  const { server: first } = trial;
  await first.kill();
  await first
    .start({ KANDEV_FAULT_POINT: `${point}:${2 + Math.floor(context.random() * 5)}:freeze` })
    .catch(() => undefined);
  await first.frozen();
  await second.start();
  await trial.grown(all[0]!, 300); // by the second one
  first.signal('SIGCONT');
  await trial.grown(all[0]!, 300);
  writeFileSync(stop, '');
  // Clients of the first one go on with the second.
  await first.kill();
  first.url = second.url;
  return trial.judge(all, `frozen at ${point}`);
}

export const frozenInBatch: Scenario = {
  name: 'frozen-before',
  about: 'a server frozen between reading and storing, woken after another one has taken over',
  run: (context) => freezeAt(context, 'output.read'),
};

export const frozenAtCommit: Scenario = {
  name: 'frozen-at-commit',
  about: 'the same, frozen while its batch is on its way: nobody has told it whether that was stored',
  run: (context) => freezeAt(context, 'output.committing'),
};

export const frozenPastLease: Scenario = {
  name: 'frozen-lease',
  about: 'SIGSTOP past the lease beside a second server, which takes over and is frozen in turn',
  async run(context) {
    const { trial, second, all, stop } = await pair(context);
    const { server: first } = trial;
    await second.start(); // takes over at once: both are alive, and the first is refused
    await trial.grown(all[0]!, 1_000);
    const turns = context.quick ? [second] : [second, first, second, first];
    for (const server of turns) {
      server.signal('SIGSTOP');
      await server.frozen();
      await sleep(LEASE_MS);
      await trial.grown(all[0]!, 300);
      server.signal('SIGCONT');
      await trial.grown(all[0]!, 300);
    }
    writeFileSync(stop, '');
    return trial.judge(all, `${turns.length} times past the lease`);
  },
};
