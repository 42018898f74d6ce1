import { Injectable } from '@nestjs/common';
import { sql, type Selectable } from 'kysely';
import { productVersion } from '../../../common/http/api-document/product-version.js';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import type { AttemptTask } from '../../agent/contracts/agent.commands.js';
import {
  AgentDialogues,
  type DialogueAttempt,
  type DialogueOf,
  type FrameToSend,
  type Heard,
  type Spoken,
  type TextPiece,
} from '../../agent/contracts/agent-dialogues.js';
import type { DialogueEvent, DialogueOpening, OpenedSession } from '../contracts/dialogue.types.js';
import { firstPrompt } from '../domain/first-prompt.js';
import { pieceOf } from '../domain/dialogue/chunks.js';
import { steps, type Step } from '../domain/dialogue/dialogue.js';
import { newDialogue, type DialogueState } from '../domain/dialogue/state.js';
import { appendFrames, framesFrom } from './dialogue-frames.js';
import { DialoguePermissions, type HeldPermissions } from './dialogue-permissions.js';
import { DialogueTurns } from './dialogue-turns.js';
import { redactedState } from './redacted-state.js';
import { keepFrames } from './kept-frames.js';
import { settingsOf } from './held-settings.js';
import { previousSession } from './previous-session.js';
import { SessionNews } from './session-news.js';
import type { SessionDB } from './session-rows.js';

const CLIENT = { name: 'kandev', version: productVersion() };
/** Rounds of one step: what is decided at once, such as by a policy, is heard at once. More is left for the next step. */
const MAX_ROUNDS = 50;

/**
 * An agent has this long to answer from when somebody attends to it, however long nobody did: the request may be written
 * only now. As long as the shortest time that an answer may take.
 */
const ANSWER_AGAIN_MS = 30_000;

type Row = Selectable<SessionDB['agent_sessions']> & { keeps_frames: boolean };

/** As its agent type says at this moment. */
const KEEPS_FRAMES = sql<boolean>`exists (select 1 from session_settings s
  where s.scope = 'agent_type' and s.subject = agent_sessions.agent_type and s.keep_frames)`.as('keeps_frames');

/** Dialogues from their rows: the pure function says what comes of what was heard, and all of it is written at once. */
@Injectable()
export class SessionDialogues extends AgentDialogues {
  constructor(
    private readonly transactions: Transactions,
    private readonly permissions: DialoguePermissions,
    private readonly turns: DialogueTurns,
    private readonly news: SessionNews,
  ) {
    super();
  }

  async open(tx: Tx, attempt: DialogueOf, task: AttemptTask, cwd: string): Promise<void> {
    const db = tx.kysely<SessionDB>();
    const { agent_id, task_id, board_id, run_id, host_id, agent_type } = attempt;
    const known = db.selectFrom('agent_sessions').select('agent_id').where('agent_id', '=', agent_id);
    if (await known.executeTakeFirst()) return; // what its agent is at work on is not sent again
    const settings = await settingsOf(db, attempt);
    const isFollowUp = await this.turns.requeue(tx, attempt);
    const session = isFollowUp ? await previousSession(db, attempt) : null;
    const { mode_id, quirks } = settings;
    const opening: DialogueOpening = { cwd, client: CLIENT, session, mode_id, quirks };
    const state = newDialogue();
    const first_prompt = firstPrompt(task, settings.prompt_template);
    const of = { agent_id, task_id, board_id, run_id, host_id, agent_type };
    await db
      .insertInto('agent_sessions')
      .values({ ...of, opening, first_prompt, state, phase: state.phase })
      .execute();
    // Without what was said before, the agent has to be told what it is all about.
    if (session === null) await this.turns.addFirst(tx, attempt, first_prompt);
  }

  async step(tx: Tx, attempt: DialogueAttempt, heard: readonly Heard[], redact: <T>(value: T) => T): Promise<Spoken> {
    const db = tx.kysely<SessionDB>();
    const row = await db
      .selectFrom('agent_sessions')
      .selectAll()
      .select(KEEPS_FRAMES)
      .where('agent_id', '=', attempt.agent_id)
      .forUpdate()
      .executeTakeFirstOrThrow();
    const round = { tx, attempt, redact, row, now: new Date() };
    const out: Said = {
      state: row.state,
      frames: [],
      messages: [],
      failure: null,
      session: null,
      turned: false,
      again: [],
    };
    let events = await this.first(round, heard);
    if (events.length === 0) events = await this.next(round, out.state); // somebody may have had a word for it
    for (let n = 0; events.length > 0 && n < MAX_ROUNDS; n++) {
      const step = steps(out.state, events, round.now);
      await this.write(round, step, out);
      events = out.again.length > 0 ? out.again.splice(0) : await this.next(round, out.state);
    }
    return this.store(round, out, heard);
  }

  pieceOf(line: string): TextPiece | null {
    return pieceOf(line);
  }

  framesFrom(agentId: string, atByte: number): Promise<FrameToSend[]> {
    return framesFrom(this.transactions.kysely<SessionDB>(), agentId, atByte);
  }

  listen(attempt: { agent_id: string; task_id: string }, onNews: () => void): () => void {
    return this.news.listen(attempt, onNews);
  }

  /** What is known before the dialogue says anything: in the order in which it came about, as far as that is known. */
  private async first({ tx, attempt, row, now }: Round, heard: readonly Heard[]): Promise<DialogueEvent[]> {
    const { state } = row;
    const due = dueAt(state, attempt);
    const isLate = due !== null && due <= now;
    return [
      ...(state.phase === 'starting' ? [{ type: 'begun', opening: row.opening } as const] : []),
      ...(await this.permissions.answers(tx, attempt, heldBy(row, state))),
      ...heard.map((one): DialogueEvent =>
        'line' in one ? { type: 'line', text: one.line } : { type: 'too_long', bytes: one.too_long },
      ),
      ...(isLate ? [{ type: 'time' } as const] : []),
      ...(attempt.has_ended ? [{ type: 'gone' } as const] : []),
      ...(attempt.stop_requested ? [{ type: 'cancel', reason: 'stop' } as const] : []),
      ...(attempt.is_inactive ? [{ type: 'cancel', reason: 'inactive' } as const] : []),
    ];
  }

  private async write({ tx, attempt, redact, row }: Round, step: Step, out: Said): Promise<void> {
    out.state = step.state;
    out.frames.push(...step.frames);
    out.messages.push(...step.messages);
    out.failure ??= step.ending;
    out.session = step.session ?? out.session;
    await this.permissions.opened(tx, attempt, step.opened, redact);
    await this.permissions.closed(tx, attempt, step.closed);
    for (const turn of step.turns) {
      const { prompt_id, cancelled_by } = turn;
      await this.turns.ended(tx, { ...redact(turn), prompt_id, cancelled_by });
    }
    if (step.session?.instead_of != null) await this.turns.addFirst(tx, attempt, row.first_prompt);
    out.turned ||= step.turns.length > 0;
    for (const refused of step.refused) {
      if (refused.event === 'prompt') await this.turns.refused(tx, refused);
      // An answer that the agent does not take must not keep it waiting for ever.
      if (refused.code === 'session.option_unknown' && refused.subject !== null)
        out.again.push({ type: 'answer', key: refused.subject, option_id: null });
    }
  }

  /** What people, or policies, say to what the dialogue has come to. */
  private async next({ tx, attempt, row }: Round, state: DialogueState): Promise<DialogueEvent[]> {
    if (state.phase === 'idle') return [(await this.turns.next(tx, attempt, row.opening.cwd)) ?? { type: 'finish' }];
    const answers = await this.permissions.answers(tx, attempt, heldBy(row, state));
    if (answers.length > 0) return answers;
    const { phase, turn } = state;
    if (phase !== 'prompting' || turn?.cancelled_by !== null) return [];
    const isWanted = await this.turns.interrupts(tx, { task_id: attempt.task_id, prompt_id: turn.prompt_id });
    return isWanted ? [{ type: 'cancel', reason: 'interrupt' }] : [];
  }

  private async store({ tx, attempt, redact, row }: Round, out: Said, heard: readonly Heard[]): Promise<Spoken> {
    const { state, session } = out;
    const db = tx.kysely<SessionDB>();
    const sent = await appendFrames(db, row, out.frames);
    const said = { heard, frames: out.frames };
    const kept_bytes = row.keeps_frames ? await keepFrames(db, row, said, redact) : row.kept_bytes;
    const expiry = state.permissions.length > 0 ? await this.permissions.nextExpiry(tx, attempt.agent_id) : null;
    const wake_at = earliest(dueAt(state, attempt), expiry);
    await db
      .updateTable('agent_sessions')
      .set({
        ...{
          state: redactedState(state, redact),
          phase: state.phase,
          session_id: state.session_id,
          wake_at,
          kept_bytes,
          ...sent,
        },
        ...(session && { opened_at: row.opened_at ?? madeAt(row, session) }),
        updated_at: sql<Date>`now()`,
      })
      .where('agent_id', '=', attempt.agent_id)
      .execute();
    const failure = out.failure && { code: out.failure.code, message: out.failure.text };
    return {
      ...{ messages: out.messages, wake_at },
      used: out.turned ? await this.turns.used(tx, attempt.agent_id) : null,
      is_waiting: state.permissions.length > 0,
      over: state.phase === 'closed' ? { failure } : null,
    };
  }
}

/** A session that was loaded again is as old as it was. */
function madeAt({ opening }: Row, { how }: OpenedSession) {
  const before = how === 'new' ? undefined : opening.session?.created_at;
  return before === undefined ? sql<Date>`now()` : new Date(before);
}

/** When time has its say. */
function dueAt({ deadline, requests }: DialogueState, { attended_since }: DialogueAttempt): Date | null {
  if (deadline === null) return null;
  const again = requests.length === 0 ? 0 : attended_since.getTime() + ANSWER_AGAIN_MS;
  return new Date(Math.max(Date.parse(deadline), again));
}

interface Round {
  tx: Tx;
  attempt: DialogueAttempt;
  redact: <T>(value: T) => T;
  row: Row;
  now: Date;
}

interface Said extends Pick<Step, 'state' | 'frames' | 'messages' | 'session'> {
  failure: Step['ending'];
  turned: boolean;
  /** What is heard next, before anything else. */
  again: DialogueEvent[];
}

/** The permission requests that the dialogue holds, and where its agent works. */
function heldBy({ opening }: Row, { permissions }: DialogueState): HeldPermissions {
  return { permissions, cwd: opening.cwd };
}

function earliest(a: Date | null, b: Date | null): Date | null {
  if (a === null || b === null) return a ?? b;
  return a < b ? a : b;
}
