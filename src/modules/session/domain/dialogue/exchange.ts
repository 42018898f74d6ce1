import type { LogLevel, MessageDraft } from '../../../../common/acp/acp-message.js';
import type {
  ClosedPermission,
  DialogueFrame,
  EndedTurn,
  OpenedPermission,
  OpenedSession,
  RefusedEvent,
  SessionFailure,
} from '../../contracts/dialogue.types.js';
import { coalesced } from './coalesce.js';
import { rawOf } from './lenient.js';
import { MAX_RAW, MAX_STEP_BYTES } from './limits.js';
import type { DialogueState, OpenRequest } from './state.js';

/** What comes of an event. Everything in the order in which it came about. */
export interface Outcome {
  /** To be sent to the agent. */
  frames: DialogueFrame[];
  /** For the task's stream. */
  messages: MessageDraft[];
  /** A permission request may be opened and closed in one outcome: open first. */
  opened: OpenedPermission[];
  closed: ClosedPermission[];
  session: OpenedSession | null;
  turns: EndedTurn[];
  refused: RefusedEvent[];
  /** The dialogue has failed; the phase is `closed`. Without it a closed one has ended well, or was asked to end. */
  ending: SessionFailure | null;
}

/** `data.metadata.source`, and of a status `data.source`, of what comes from a dialogue. */
export const SESSION_SOURCE = 'session';

/** The state while events change it, and what comes of them. */
export class Exchange {
  readonly outcome: Outcome = {
    ...{ frames: [], messages: [], opened: [], closed: [], session: null, turns: [], refused: [], ending: null },
  };

  /** Of messages in this call, as JSON. */
  private made = 0;

  /** `state` is changed in place. */
  constructor(
    readonly state: DialogueState,
    readonly now: Date,
  ) {}

  request(method: string, params: object, modeId: string | null = null): void {
    const id = this.state.next_id++;
    this.state.requests.push({ id, method, mode_id: modeId });
    this.outcome.frames.push({ jsonrpc: '2.0', id, method, params });
  }

  notify(method: string, params: object): void {
    this.outcome.frames.push({ jsonrpc: '2.0', method, params });
  }

  /** To a request of the agent. */
  reply(idJson: string, result: object): void {
    this.state.spent.replies++;
    this.answer({ jsonrpc: '2.0', id: idOf(idJson), result });
  }

  /** To an update that came as a request. */
  acknowledge(idJson: string): void {
    this.answer({ jsonrpc: '2.0', id: idOf(idJson), result: {} });
  }

  /** To a request of the agent that can't be had; null where its id is of no use. */
  replyError(idJson: string | null, code: number, message: string): void {
    const id = idJson === null ? null : idOf(idJson);
    this.state.spent.replies++;
    this.answer({ jsonrpc: '2.0', id, error: { code, message } });
  }

  /** The request that an answer is for, which is then no longer open. */
  take(id: number | null): OpenRequest | null {
    const index = this.state.requests.findIndex((request) => request.id === id);
    return index === -1 ? null : this.state.requests.splice(index, 1)[0]!;
  }

  /** Asks for a `time` event in so many milliseconds. */
  wakeIn(ms: number): void {
    this.wakeAt(this.now.getTime() + ms);
  }

  wakeAt(time: number): void {
    this.state.deadline = new Date(time).toISOString();
  }

  log(level: LogLevel, message: string, about: { kind: string } & Record<string, unknown>): void {
    const data = { level, message, metadata: { source: SESSION_SOURCE, ...about } };
    this.tell({ type: 'log', timestamp: this.now.toISOString(), level, data });
  }

  /** What means nothing to us, for those who look for a mistake. */
  note(message: string, raw?: unknown): void {
    if (raw === undefined) return this.log('debug', message, { kind: 'note' });
    const { value, cut } = rawOf(raw, MAX_RAW);
    this.log('debug', message, { kind: 'note', raw: value, ...(cut && { raw_cut: true }) });
  }

  status(status: string, message: string, about: object): void {
    const metadata = { source: SESSION_SOURCE, kind: status, ...about };
    const data = { status, message, source: SESSION_SOURCE, metadata };
    this.tell({ type: 'status', timestamp: this.now.toISOString(), level: null, data });
  }

  /** So much is told in this call already that what can be left out is left out. */
  get isFull(): boolean {
    return this.made > MAX_STEP_BYTES;
  }

  /** A permission request that somebody has to answer. */
  ask(request: OpenedPermission): void {
    this.state.spent.told += JSON.stringify(request).length;
    this.outcome.opened.push(request);
  }

  tell(draft: MessageDraft): void {
    // Each by itself: what is counted must not depend on what is heard at once.
    const size = JSON.stringify(draft).length;
    this.state.spent.told += size;
    this.made += size;
    const { messages } = this.outcome;
    const last = messages.at(-1);
    const both = last && coalesced(last, draft);
    if (both) messages[messages.length - 1] = both;
    else messages.push(draft);
  }

  refuse(event: RefusedEvent['event'], subject: string | null, code: RefusedEvent['code'], why: string): void {
    this.outcome.refused.push({ event, subject, code, text: why });
  }

  private answer(frame: DialogueFrame): void {
    this.state.spent.reply_bytes += JSON.stringify(frame).length;
    this.outcome.frames.push(frame);
  }
}

function idOf(json: string): string | number {
  return JSON.parse(json) as string | number;
}
