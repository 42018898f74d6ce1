import { Inject, Injectable } from '@nestjs/common';
import { sql, type Selectable } from 'kysely';
import { v7 as uuidv7 } from 'uuid';
import { sanitizeText } from '../../../common/acp/sanitize.js';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import type { Tx } from '../../../common/persistence/transactions.js';
import type { DialogueOf } from '../../agent/contracts/agent-dialogues.js';
import { PermissionsChangedEvent } from '../contracts/session.events.js';
import type { ClosedPermission, DialogueEvent, OpenedPermission } from '../contracts/dialogue.types.js';
import { optionFor } from '../domain/permission-outcome.js';
import { decide, type Verdict } from '../domain/permission-policy.js';
import type { PermissionOption } from '../domain/permission-request.entity.js';
import { settingsOf, type HeldSettings } from './held-settings.js';
import { listAsJson, type SessionDB } from './session-rows.js';

type Row = Selectable<SessionDB['permission_requests']>;
type Redact = <T>(value: T) => T;

const NAMES = { board: "the board's", agent_type: "the agent type's" } as const;

/** What a dialogue holds, and where its agent works. */
export interface HeldPermissions {
  permissions: readonly { key: string; option_ids: readonly string[] }[];
  cwd: string;
}

/** Why a request was closed without an answer, for people. */
const CLOSED: Record<Exclude<ClosedPermission['why'], 'answered'>, string> = {
  cancelled: 'The turn was cancelled.',
  withdrawn: 'The agent took its request back.',
  turn_ended: 'The agent ended its turn without waiting for the answer.',
  session_closed: 'The session was closed.',
  agent_gone: 'The agent has ended.',
};

/** The rows of an attempt's permission requests, and what they mean for its dialogue. All in the dialogue's transaction. */
@Injectable()
export class DialoguePermissions {
  constructor(@Inject(CONFIG) private readonly config: Config) {}

  /**
   * Answers that are there by now for the requests that the dialogue holds: of people, of policies as they are now, or by
   * the time.
   */
  async answers(tx: Tx, attempt: DialogueOf, { permissions, cwd }: HeldPermissions): Promise<DialogueEvent[]> {
    if (permissions.length === 0) return [];
    const keys = permissions.map(({ key }) => key);
    const db = tx.kysely<SessionDB>();
    const rows = await db
      .selectFrom('permission_requests')
      .selectAll()
      .where('agent_id', '=', attempt.agent_id)
      .where(sql<boolean>`request_key = any(${keys})`)
      .orderBy('created_at')
      .orderBy('id')
      .forUpdate()
      .execute();
    const settings = rows.some(({ state }) => state === 'PENDING') ? await settingsOf(db, attempt) : undefined;
    const events: DialogueEvent[] = [];
    for (const row of rows) {
      const settled = row.state === 'PENDING' && settings ? await this.settle(tx, row, { settings, cwd }) : row;
      if (settled.state !== 'PENDING')
        events.push({ type: 'answer', key: row.request_key, option_id: asGiven(permissions, row, settled.option_id) });
    }
    return events;
  }

  /** Writes down what the agent asks, and what a policy says to it. */
  async opened(tx: Tx, attempt: DialogueOf, requests: readonly OpenedPermission[], redact: Redact): Promise<void> {
    if (requests.length === 0) return;
    const { agent_id, task_id, board_id, run_id } = attempt;
    const db = tx.kysely<SessionDB>();
    const { permission_timeout_seconds } = await settingsOf(db, attempt);
    const seconds = permission_timeout_seconds ?? this.config.agent.permission_timeout_seconds;
    for (const { key, tool_call: call, options, ...named } of requests) {
      const tool_call = { ...call, paths_cut: named.paths_cut };
      const title = tool_call.title ?? tool_call.name ?? 'The agent asks for a permission.';
      const { paths, ...about } = redact({ title: sanitizeText(title), tool_call, paths: named.paths });
      const row = { id: uuidv7(), agent_id, task_id, board_id, run_id, request_key: key, ...about };
      const lists = { paths: listAsJson(paths), options: listAsJson(shown(options, redact)) };
      const expires_at = sql<Date>`now() + make_interval(secs => ${seconds})`;
      await db
        .insertInto('permission_requests')
        .values({ ...row, tool_kind: tool_call.kind, ...lists, expires_at, created_at: sql<Date>`clock_timestamp()` })
        .execute();
    }
    tx.emit(new PermissionsChangedEvent(agent_id, 1, { task_id, run_id }));
  }

  /** What the dialogue waits for no more. */
  async closed(tx: Tx, { agent_id, task_id, run_id }: DialogueOf, all: readonly ClosedPermission[]): Promise<void> {
    for (const { key, why } of all) {
      if (why === 'answered') continue; // its row says so already
      await tx
        .kysely<SessionDB>()
        .updateTable('permission_requests')
        .set({ state: 'CANCELLED', outcome: 'cancelled', reason: CLOSED[why], answered_at: sql<Date>`now()` })
        .where('agent_id', '=', agent_id)
        .where('request_key', '=', key)
        .where('state', '=', 'PENDING')
        .execute();
    }
    if (all.length > 0) tx.emit(new PermissionsChangedEvent(agent_id, 1, { task_id, run_id }));
  }

  /** When the first of them has waited long enough; null where none waits. */
  async nextExpiry(tx: Tx, agentId: string): Promise<Date | null> {
    const row = await tx
      .kysely<SessionDB>()
      .selectFrom('permission_requests')
      .select((by) => by.fn.min('expires_at').as('at'))
      .where('agent_id', '=', agentId)
      .where('state', '=', 'PENDING')
      .executeTakeFirst();
    return row?.at ? new Date(row.at) : null;
  }

  /** As a policy or the time says; the row as it is where neither does. */
  private async settle(
    tx: Tx,
    row: Row,
    { settings, cwd }: { settings: HeldSettings; cwd: string },
  ): Promise<Pick<Row, 'state' | 'option_id'>> {
    const { paths_cut } = row.tool_call as { paths_cut?: boolean };
    const verdict = decide({ ...row, paths_cut: paths_cut === true }, settings.rules, cwd);
    const change = verdict.decision === 'ask' ? expiryOf(row) : decidedBy(verdict, row.options);
    if (!change) return row;
    await tx
      .kysely<SessionDB>()
      .updateTable('permission_requests')
      .set({ ...change, answered_at: sql<Date>`now()` })
      .where('id', '=', row.id)
      .execute();
    return change;
  }
}

/** Options as people see them: one whose id holds what nobody may see, or PostgreSQL can't hold, has another in its place. */
function shown(options: OpenedPermission['options'], redact: Redact): PermissionOption[] {
  const given = new Set(options.map(({ option_id }) => option_id));
  return options.map(({ option_id, name, kind }, index) => {
    let id = sanitizeText(redact(option_id));
    if (id !== option_id) for (id = `option-${index + 1}`; given.has(id); id = `${id}-`);
    return { option_id: id, name: sanitizeText(redact(name)), kind };
  });
}

/** The option's id as the agent gave it: options are stored in the agent's order. */
function asGiven(
  permissions: HeldPermissions['permissions'],
  { request_key, options }: Row,
  option_id: string | null,
): string | null {
  if (option_id === null) return null;
  const index = options.findIndex((option) => option.option_id === option_id);
  return permissions.find(({ key }) => key === request_key)?.option_ids[index] ?? option_id;
}

function decidedBy({ decision, scope, rule }: Verdict, options: readonly PermissionOption[]) {
  const outcome = decision === 'allow' ? ('allowed' as const) : ('denied' as const);
  const option = optionFor(outcome, options);
  if (!option && outcome === 'allowed') return undefined; // the agent offers no such answer: a person has to say
  const reason = `Rule ${rule ?? 0} of ${NAMES[scope ?? 'board']} policy.`;
  return { state: 'ANSWERED' as const, option_id: option?.option_id ?? null, outcome, reason };
}

function expiryOf({ expires_at, options }: Row) {
  if (!expires_at || new Date(expires_at).getTime() > Date.now()) return undefined;
  const option_id = optionFor('denied', options)?.option_id ?? null;
  return { state: 'EXPIRED' as const, option_id, outcome: 'denied' as const, reason: 'Nobody answered in time.' };
}
