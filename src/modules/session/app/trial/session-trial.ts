import type { Heard } from '../../../agent/contracts/agent-dialogues.js';
import type { TrialDialogue, TrialFacts, TrialPlan, TrialStep } from '../../../agent/contracts/trial-dialogues.js';
import type { DialogueEvent, DialogueOpening, OpenedPermission } from '../../contracts/dialogue.types.js';
import { steps, type Step } from '../../domain/dialogue/dialogue.js';
import { newDialogue, type DialogueState } from '../../domain/dialogue/state.js';
import { record } from '../../domain/dialogue/lenient.js';
import { TrialObserver, UNKNOWN_ID } from './trial-observer.js';

/** For the answer to a method that there is not: agents answer within some milliseconds, and a busy machine holds them. */
const UNKNOWN_MS = 5_000;
/** A turn that is to be cancelled has begun by then, even if the agent says nothing. */
const CANCEL_AFTER_MS = 2_000;
/** Characters of two, three and four bytes: the request comes in pieces that end within each. */
const WIDE = ['ä', '€', '😀'];

/** What of the plan is to come. */
type Stage = 'opening' | 'unknown' | 'turn' | 'cancel' | 'done';

/** The dialogue of the server, by its pure function, with a plan in the place of people and rows. */
export class SessionTrial implements TrialDialogue {
  private state: DialogueState = newDialogue();
  private readonly observer = new TrialObserver();
  private stage: Stage = 'opening';
  private pieces: Buffer[] = [];
  private stageAt = 0;
  /** There was a line that is too long to be taken in. */
  private hasGivenUp = false;
  private cancelledAt: number | null = null;

  constructor(
    private readonly plan: TrialPlan,
    private readonly client: DialogueOpening['client'],
  ) {}

  get facts(): TrialFacts {
    return this.observer.facts;
  }

  step(heard: readonly Heard[], now: Date): TrialStep {
    this.pieces = [];
    const events = this.events(heard, now);
    if (this.state.phase === 'starting') events.unshift({ type: 'begun', opening: this.opening() });
    if (events.length > 0) this.play(events, now);
    this.goOn(heard.length > 0, now);
    return { pieces: this.pieces, over: this.stage === 'done' };
  }

  private events(heard: readonly Heard[], now: Date): DialogueEvent[] {
    const at = now.getTime();
    const events = heard.flatMap((one) => this.event(one, at));
    const { deadline } = this.state;
    return deadline !== null && Date.parse(deadline) <= at ? [...events, { type: 'time' }] : events;
  }

  private event(heard: Heard, at: number): DialogueEvent[] {
    if (this.hasGivenUp) return []; // the rest of that line
    if ('line' in heard) return this.observer.line(heard.line, at) ? [{ type: 'line', text: heard.line }] : [];
    this.hasGivenUp = true;
    this.observer.tooLong(heard.too_long);
    return [{ type: 'too_long', bytes: heard.too_long }];
  }

  /** What is said at once to what came of the events is heard at once. */
  private play(first: DialogueEvent[], now: Date): void {
    for (let events = first; events.length > 0;) {
      const step = steps(this.state, events, now);
      this.state = step.state;
      this.note(step, now);
      events = step.opened.map((asked) => this.answer(asked, now));
    }
  }

  private note(step: Step, now: Date): void {
    this.observer.sent(step.frames, now.getTime());
    this.pieces.push(...step.frames.map((frame) => Buffer.from(`${JSON.stringify(frame)}\n`)));
    if (step.session) this.observer.opened(step.session, now);
    if (step.ending) this.facts.failure ??= step.ending;
    const since = this.cancelledAt === null ? null : now.getTime() - this.cancelledAt;
    for (const turn of step.turns) this.observer.turnEnded(turn, since);
    for (const { data } of step.messages)
      if (record(data['metadata'])?.['kind'] === 'session_not_loaded') this.facts.not_loaded = String(data['message']);
  }

  private answer({ key, tool_call, options }: OpenedPermission, now: Date): DialogueEvent {
    const wanted = this.plan.answer === 'allow' ? 'allow' : 'reject';
    const fitting = options.filter(({ kind }) => kind.startsWith(wanted));
    const option_id = (fitting.find(({ kind }) => kind.endsWith('_once')) ?? fitting[0])?.option_id ?? null;
    const kinds = options.map(({ kind }) => kind);
    this.facts.permissions.push({ title: tool_call.title, options: kinds, option_id, resumed_ms: null });
    this.observer.answeredAt = now.getTime();
    return { type: 'answer', key, option_id };
  }

  private goOn(isHeard: boolean, now: Date): void {
    const at = now.getTime();
    const isReady = this.state.phase === 'idle';
    const isClosed = this.state.phase === 'closed';
    if (this.stage === 'opening' && (isReady || isClosed)) {
      const asks = this.plan.asks_unknown && this.facts.protocol_version !== null;
      if (asks) this.askUnknown(at);
      this.enter('unknown', at);
    }
    if (this.stage === 'unknown') {
      const isAnswered = !this.facts.asked_unknown || this.facts.unknown_method !== null;
      if (isAnswered || at - this.stageAt > UNKNOWN_MS)
        this.enter(isReady && this.sendPrompt(now) ? 'turn' : 'done', at);
    } else if (this.stage === 'turn') {
      if (isReady) this.enter(this.sendPrompt(now) ? 'cancel' : 'done', at);
    } else if (this.stage === 'cancel' && this.state.phase === 'prompting') {
      if (isHeard || at - this.stageAt > CANCEL_AFTER_MS) this.cancel(now);
    } else if (this.stage === 'cancel' && isReady) this.enter('done', at);
    if (this.state.phase === 'closed' && this.stage !== 'unknown') this.enter('done', at);
  }

  private enter(stage: Stage, at: number): void {
    this.stage = stage;
    this.stageAt = at;
  }

  private sendPrompt(now: Date): boolean {
    const { prompt } = this.plan;
    if (prompt === null) return false;
    this.play([{ type: 'prompt', prompt_id: this.stage, content: [{ type: 'text', text: prompt }] }], now);
    return true;
  }

  private cancel(now: Date): void {
    this.cancelledAt = now.getTime();
    this.play([{ type: 'cancel', reason: 'interrupt' }], now);
  }

  private askUnknown(at: number): void {
    const params = { text: WIDE.join('') };
    const line = Buffer.from(
      `${JSON.stringify({ jsonrpc: '2.0', id: UNKNOWN_ID, method: '_kandev/check', params })}\n`,
    );
    const cuts = WIDE.map((character) => line.indexOf(character) + 1);
    const edges = [0, ...cuts, line.length];
    this.pieces.push(...edges.slice(1).map((end, n) => line.subarray(edges[n], end)));
    this.observer.askedUnknown(at);
  }

  private opening(): DialogueOpening {
    const { cwd, session, quirks } = this.plan;
    return { cwd, client: this.client, session, mode_id: null, quirks };
  }
}
