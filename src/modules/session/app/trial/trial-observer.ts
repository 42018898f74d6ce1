import type { TrialFacts } from '../../../agent/contracts/trial-dialogues.js';
import type { DialogueFrame, EndedTurn, OpenedSession } from '../../contracts/dialogue.types.js';
import { agentOf, authMethodsOf, capabilitiesOf } from '../../domain/dialogue/agent-facts.js';
import { framesOf, type Incoming } from '../../domain/dialogue/frame.js';
import { count, label, record } from '../../domain/dialogue/lenient.js';

/** The id of the request for a method that there is not: no number, as the dialogue's are. */
export const UNKNOWN_ID = 'kandev-check';
/** Of a line that is no frame: what fits a screen. */
const MAX_EXAMPLE = 120;
const REPLACEMENT = '\uFFFD';

/** What the frames both ways tell, and how long the answers took. */
export class TrialObserver {
  readonly facts: TrialFacts = {
    ...{ initialize_ms: null, protocol_version: null, agent: null, capabilities: null, auth_methods: [] },
    ...{ session: null, not_loaded: null, failure: null, waits_for: [] },
    ...{ noise: { lines: 0, example: null }, longest_line_bytes: 0, broken_text_lines: 0 },
    ...{ unknown_method: null, asked_unknown: false, permissions: [], turn: null, cancel: null },
  };
  /** Requests of ours without an answer, by id. */
  private readonly asked = new Map<number, { method: string; at: number }>();
  /** How long the last answer to a method took. */
  private readonly took = new Map<string, number>();
  private unknownAt = 0;

  sent(frames: readonly DialogueFrame[], now: number): void {
    for (const { id, method } of frames)
      if (typeof id === 'number' && method !== undefined) this.asked.set(id, { method, at: now });
    this.listOpen();
  }

  askedUnknown(now: number): void {
    this.facts.asked_unknown = true;
    this.unknownAt = now;
  }

  /** Looks at a line; false for one that is not for the dialogue. */
  line(text: string, now: number): boolean {
    const { facts } = this;
    facts.longest_line_bytes = Math.max(facts.longest_line_bytes, Buffer.byteLength(text));
    if (text.includes(REPLACEMENT)) facts.broken_text_lines++;
    this.resumed(now);
    const batch = framesOf(text);
    if (!batch) {
      facts.noise.lines++;
      facts.noise.example ??= label(text, MAX_EXAMPLE);
      return true;
    }
    const others = batch.frames.filter((frame) => !this.isUnknowns(frame, now));
    for (const frame of others) if (frame.is === 'response') this.answered(frame, now);
    this.listOpen();
    return others.length > 0;
  }

  tooLong(bytes: number): void {
    this.facts.longest_line_bytes = Math.max(this.facts.longest_line_bytes, bytes);
  }

  opened({ session_id, how, modes }: OpenedSession, now: Date): void {
    const method = how === 'new' ? 'session/new' : how === 'loaded' ? 'session/load' : 'session/resume';
    const session = { session_id, how, opened_at: now.toISOString(), ms: this.took.get(method) ?? 0 };
    this.facts.session = { ...session, modes: (modes?.available ?? []).map(({ mode_id }) => mode_id) };
  }

  turnEnded({ stop_reason, usage, cancelled_by }: EndedTurn, cancelMs: number | null): void {
    if (cancelled_by !== null) {
      if (cancelMs !== null) this.facts.cancel = { stop_reason, ms: cancelMs };
      return;
    }
    const tokens = usage?.total_tokens ?? null;
    this.facts.turn ??= { stop_reason, ms: this.took.get('session/prompt') ?? 0, tokens };
  }

  private answered({ id, result }: Incoming & { is: 'response' }, now: number): void {
    const request = this.asked.get(id ?? -1);
    if (!request) return;
    this.asked.delete(id!);
    this.took.set(request.method, now - request.at);
    if (request.method !== 'initialize') return;
    const said = record(result);
    this.facts.initialize_ms = now - request.at;
    if (!said) return;
    this.facts.protocol_version = count(said['protocolVersion']);
    this.facts.agent = agentOf(said);
    const can = record(record(said['agentCapabilities'])?.['sessionCapabilities']);
    this.facts.capabilities = { ...capabilitiesOf(said), list: record(can?.['list']) !== null };
    this.facts.auth_methods = authMethodsOf(said);
  }

  private isUnknowns(frame: Incoming, now: number): boolean {
    if (frame.is !== 'response' || record(frame.raw)?.['id'] !== UNKNOWN_ID) return false;
    const code = frame.error?.['code'];
    this.facts.unknown_method = { code: typeof code === 'number' ? code : null, ms: now - this.unknownAt };
    return true;
  }

  /** An answer to a permission request was sent at this time, and nothing heard since. */
  answeredAt: number | null = null;

  private resumed(now: number): void {
    const last = this.facts.permissions.at(-1);
    if (last && this.answeredAt !== null) last.resumed_ms ??= now - this.answeredAt;
    this.answeredAt = null;
  }

  private listOpen(): void {
    this.facts.waits_for = Array.from(this.asked.values(), ({ method }) => method);
  }
}
