import { WebSocket } from 'ws';
import { bar, dim, green, printable, red, say, yellow } from './terminal.mjs';

const LIMIT_MS = 180_000;
const ENDS = new Set(['COMPLETED', 'FAILED', 'STOPPED', 'LOST']);

/** Shows a task's stream as it comes. `open` resolves when it is connected, `done` when the agent has ended. */
export function watchTask(url, token, taskId) {
  const address = `${url.replace(/^http/, 'ws')}/api/v1/orchestrator/tasks/${taskId}/stream?after=0`;
  const socket = new WebSocket(address, { headers: { Authorization: `Bearer ${token}` } });
  const open = new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  let limit;
  const done = new Promise((resolve, reject) => {
    limit = setTimeout(() => reject(new Error(`the agent did not end within ${LIMIT_MS / 1000} s`)), LIMIT_MS);
    socket.on('close', (code, reason) => reject(new Error(`the stream was closed: ${code} ${reason}`)));
    socket.on('message', (/** @type {Buffer} */ frame) => {
      const message = JSON.parse(frame.toString());
      show(message);
      if (message.type === 'status' && ENDS.has(message.data.status)) resolve();
    });
  }).finally(() => {
    clearTimeout(limit);
    socket.removeAllListeners('close').close();
  });
  done.catch(() => undefined);
  return { open, done };
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
