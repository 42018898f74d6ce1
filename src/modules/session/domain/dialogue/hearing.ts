import { parseLine } from '../../../../common/acp/parse-line.js';
import { sanitizeText } from '../../../../common/acp/sanitize.js';
import { fail } from './closing.js';
import type { Exchange } from './exchange.js';
import { errorText, failure } from './failures.js';
import { framesOf, type Incoming } from './frame.js';
import { cutText, label, record, sizeText } from './lenient.js';
import { MAX_BATCH, MAX_MESSAGE_TEXT, MAX_NAME } from './limits.js';
import { modeSet } from './modes.js';
import { authenticated, initialized, opened } from './opening.js';
import { permissionRequest, withdraw } from './permissions.js';
import { prompted } from './prompting.js';
import type { DialogueState } from './state.js';
import { sessionUpdate } from './updates.js';

const INVALID_REQUEST = -32600;
const METHOD_NOT_FOUND = -32601;

/** A line of the agent's standard output. */
export function lineHeard(x: Exchange, line: string): void {
  const batch = framesOf(line);
  if (!batch) return logLine(x, line);
  for (const frame of batch.frames) frameHeard(x, frame);
  if (batch.count > batch.frames.length) batchTooLong(x, line, batch.count);
}

function batchTooLong(x: Exchange, line: string, count: number): void {
  const size = sizeText(Buffer.byteLength(line));
  const text =
    `The agent wrote ${count} JSON-RPC messages in one line of ${size}. ` +
    `The protocol has no batches: the first ${MAX_BATCH} were taken, the others were not looked at.`;
  if (x.state.phase !== 'closed') return fail(x, failure('session.protocol_violation', text));
  const about = { kind: 'too_long', count, raw: cutText(sanitizeText(line), MAX_NAME), raw_cut: true };
  x.log('warn', text, about);
}

/** What is no JSON-RPC is told as its text, also what would be a message of another protocol: a result is ours to give. */
function logLine(x: Exchange, line: string): void {
  for (let rest = line, continued = false; ; continued = true) {
    const piece = cutText(rest, MAX_MESSAGE_TEXT);
    rest = rest.slice(piece.length);
    const continues = rest !== '';
    // A piece of a line is never taken for a message.
    const draft = parseLine({ bytes: Buffer.from(piece), source: 'stdout', continues, continued: true }, x.now);
    const { continued: _, ...metadata } = record(draft.data['metadata'])!;
    x.tell({ ...draft, data: { ...draft.data, metadata: { ...metadata, ...(continued && { continued }) } } });
    if (!continues) return;
  }
}

/** A line that nobody can take in. A notification can be missed; an answer or a request can't. */
export function tooLong(x: Exchange, bytes: number, head: string): void {
  const isUpdate = /^\s*\{\s*"jsonrpc"\s*:\s*"2\.0"\s*,\s*"method"\s*:\s*"session\/update"/.test(head);
  const size = sizeText(bytes);
  const start = head === '' ? {} : { raw: cutText(head, MAX_NAME), raw_cut: true };
  if (isUpdate || (head !== '' && !/^\s*[{[]/.test(head))) {
    const what = isUpdate ? 'A session update' : 'A line';
    return x.log('warn', `${what} of more than ${size} was too long and is lost.`, {
      kind: 'too_long',
      bytes,
      ...start,
    });
  }
  const text = `The agent wrote a line of more than ${size}, which is too long to be understood.`;
  if (x.state.phase === 'closed') return x.log('warn', text, { kind: 'too_long', bytes, ...start });
  fail(x, failure('session.frame_too_long', text));
}

function frameHeard(x: Exchange, frame: Incoming): void {
  switch (frame.is) {
    case 'request':
      return requestHeard(x, frame);
    case 'notification':
      return notificationHeard(x, frame);
    case 'response':
      return responseHeard(x, frame);
    case 'invalid':
      x.note('The agent sent a request that is none by JSON-RPC.', frame.raw);
      return x.replyError(frame.id_json, INVALID_REQUEST, 'Invalid request');
  }
}

function requestHeard(x: Exchange, { id_json, method, params }: Incoming & { is: 'request' }): void {
  if (isHeld(x.state, id_json)) {
    return x.note('The agent used the id of a request again that has no answer yet: taken as the same one.', params);
  }
  if (method === 'session/request_permission') return permissionRequest(x, id_json, params);
  if (method === 'session/update') {
    sessionUpdate(x, params); // some agents want to hear that it came
    return x.acknowledge(id_json);
  }
  const name = label(method, MAX_NAME) ?? '';
  x.note(`The agent asked for ${name}, which was not offered to it.`, params);
  x.replyError(id_json, METHOD_NOT_FOUND, `Method not found: ${name}`);
}

function isHeld({ permissions }: DialogueState, idJson: string): boolean {
  return permissions.some((permission) => permission.id_json === idJson);
}

function notificationHeard(x: Exchange, { method, params }: Incoming & { is: 'notification' }): void {
  if (method === 'session/update') return sessionUpdate(x, params);
  if (method === '$/cancel_request') return withdraw(x, params);
  x.note(`The agent sent ${label(method, MAX_NAME) ?? 'a notification'}, which means nothing here.`, params);
}

function responseHeard(x: Exchange, { id, result, error, raw }: Incoming & { is: 'response' }): void {
  const request = x.take(id);
  if (!request) {
    if (id !== null || !error) return x.note('The agent answered what it was not asked, or has answered.', raw);
    // Without an id it is about something of ours that the agent could not read.
    return x.log('warn', `The agent could not read what it was sent: ${errorText(error)}.`, { kind: 'not_understood' });
  }
  switch (request.method) {
    case 'initialize':
      return initialized(x, result, error);
    case 'authenticate':
      return authenticated(x, error);
    case 'session/new':
    case 'session/load':
    case 'session/resume':
      return opened(x, request.method, result, error);
    case 'session/prompt':
      return prompted(x, result, error);
    default:
      return modeSet(x, request, error);
  }
}
