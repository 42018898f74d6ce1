import { setTimeout as sleep } from 'node:timers/promises';
import type { Context, Scenario } from '../../scenario.js';
import { query } from '../../stream/world.js';
import { DOES } from '../agent.js';
import { DispatchTrial } from '../trial.js';
import type { Finding } from '../verdict.js';
import { expectEnds } from './by-hand.js';

const HOUR_MS = 3_600_000;
/** Longer than a lease of 20 s: whoever went by a clock of its own would have lost its runs, or taken others'. */
const PAST_LEASE_MS = 25_000;

/** Runs before the server does and moves its clock: `Date.now()`, `new Date()` and `Date()`. */
const SHIFT = `
const Real = Date;
const now = () => Real.now() + Number(process.env.FAULT_CLOCK_MS);
const construct = (target, given, type) => Reflect.construct(target, given.length > 0 ? given : [now()], type);
const get = (target, name) => (name === 'now' ? now : Reflect.get(target, name));
globalThis.Date = new Proxy(Real, { construct, get, apply: () => new Real(now()).toString() });
Real.prototype.constructor = globalThis.Date;
`;

/** Settings of a server whose clock is so many ms off. */
export function clockOff(ms: number): Record<string, string> {
  const module = `data:text/javascript,${encodeURIComponent(SHIFT)}`;
  return { NODE_OPTIONS: `--import=${module}`, FAULT_CLOCK_MS: String(ms) };
}

/** Leases that are not good for 0 to 20 s by the database's clock. */
async function oddLeases(trial: DispatchTrial): Promise<number> {
  const sql = `select count(*)::int as n from runs where lease_owner is not null
    and (lease_expires_at < now() or lease_expires_at > now() + interval '21 s')`;
  return (await query<{ n: number }>(trial.database, sql))[0]?.n ?? 0;
}

async function apart({ world, quick, random }: Context): Promise<Finding> {
  const trial = await DispatchTrial.open(world, { ...clockOff(HOUR_MS) });
  const second = trial.member(clockOff(-HOUR_MS));
  await second.start();
  const ids: string[] = [];
  const rounds = quick ? 1 : 5;
  for (let round = 0; round < rounds; round++) {
    const begun = await Promise.all(Array.from({ length: 4 }, () => trial.begin(DOES.wait)));
    for (const id of begun) await trial.reached(id, 'RUNNING');
    await sleep(PAST_LEASE_MS);
    if ((await oddLeases(trial)) > 0) throw new Error('a lease does not go by the clock of the database');
    await second.kill(); // a restart with another clock, in the middle of its work
    await second.start(clockOff(random() < 0.5 ? HOUR_MS : -HOUR_MS));
    for (const id of begun) await trial.endAgent(id);
    await trial.allEnded();
    ids.push(...begun);
  }
  await expectEnds(trial, ids, 'COMPLETED');
  const [moved] = await query<{ n: number }>(trial.database, 'select count(*)::int as n from runs where attempt > 1');
  if (moved?.n) throw new Error(`${moved.n} runs were begun anew`);
  return trial.judge('two hosts, two hours apart');
}

export const clocksOff: Scenario<Finding> = {
  name: 'clocks-off',
  about: 'two hosts on one database, one an hour ahead, one an hour behind, for longer than a lease',
  run: apart,
};
