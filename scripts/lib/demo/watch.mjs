import { pathToFileURL } from 'node:url';
import { CLIENT_MAIN } from '../setup/paths.mjs';
import { isServers } from '../watch/now.mjs';
import { bar, dim, green, printable, red, say, yellow } from './terminal.mjs';

const LIMIT_MS = 180_000;
const ENDS = new Set(['COMPLETED', 'FAILED', 'STOPPED', 'LOST']);

/**
 * Shows a task's stream as it comes, through the client that everybody else has. `open` resolves when it is connected,
 * `done` when the agent has ended.
 */
export function watchTask(url, token, taskId) {
  const opened = Promise.withResolvers();
  const done = follow(url, token, taskId, opened);
  done.catch(opened.reject);
  return { open: opened.promise, done };
}

async function follow(url, token, taskId, opened) {
  const { createKandev, StreamClient } = await import(pathToFileURL(CLIENT_MAIN).href);
  const streams = new StreamClient({ baseUrl: url, kandev: createKandev({ baseUrl: url, token }) });
  const signal = AbortSignal.timeout(LIMIT_MS);
  const onState = ({ state }) => state === 'open' && opened.resolve();
  for await (const message of streams.messages(taskId, { after: 0, signal, onState })) {
    show(message);
    if (message.type === 'status' && isServers(message) && ENDS.has(message.data.status)) return;
  }
  throw new Error(`the agent did not end within ${LIMIT_MS / 1000} s`);
}

function show({ type, timestamp, seq, data }) {
  const at = dim(timestamp.slice(11, 23));
  const text = printable(data.message ?? data.summary ?? '');
  if (type === 'progress') return bar(Number(data.progress ?? 0), data.message ?? '');
  if (type === 'status') return say(`${at} ${dim(`#${seq}`)} ${green(`state ${printable(data.status)}`)} ${text}`);
  if (type === 'result') return say(`${at} ${dim(`#${seq}`)} ${green(`result ${printable(data.status)}`)} ${text}`);
  if (type === 'error' || data.level === 'error') return say(`${at} ${dim(`#${seq}`)} ${red('error')} ${text}`);
  if (type === 'log') say(`${at} ${dim(`#${seq}`)} ${data.level === 'warn' ? yellow('warn ') : 'info '} ${text}`);
}
