// Numbered log lines, for those who measure whether every line arrives, once and in order.
import { setTimeout as sleep } from 'node:timers/promises';

/** Lines are handed over in bundles of about this many characters, unless each is to be waited for. */
const BUNDLE = 65_536;

/**
 * Writes `DEMO_AGENT_LINES` log messages numbered 1, 2, 3 … in `data.metadata.n`, with a pause of
 * `DEMO_AGENT_LINE_DELAY_MS` after each; as fast as they are taken without one.
 * @param {import('./channel.mjs').Channel} channel
 * @param {NodeJS.ProcessEnv} env
 * @param {AbortSignal} stop
 */
export async function writeLoad(channel, env, stop) {
  const total = Number(env.DEMO_AGENT_LINES || 0);
  const delay = Number(env.DEMO_AGENT_LINE_DELAY_MS || 0);
  let bundle = '';
  for (let n = 1; n <= total && !stop.aborted; n++) {
    bundle += channel.line('log', { level: 'info', message: `line ${n} of ${total}`, metadata: { n } });
    if (delay === 0 && bundle.length < BUNDLE && n < total) continue;
    await channel.write(bundle);
    bundle = '';
    // A write to a file never waits, and a control message is only seen by a loop that comes round.
    await sleep(delay);
  }
}
