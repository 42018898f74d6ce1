import { defineEntity, p } from '@mikro-orm/postgresql';

export const PROMPT_STATES = ['QUEUED', 'SENT', 'COMPLETED', 'CANCELLED', 'FAILED'] as const;
export type PromptState = (typeof PROMPT_STATES)[number];

/** `first` is made of the task itself. */
export const PROMPT_KINDS = ['first', 'follow_up'] as const;
export type PromptKind = (typeof PROMPT_KINDS)[number];

/** Something besides its text: a file of the workspace, or an image. */
export interface PromptAttachment {
  name: string;
  /** Of the workspace; instead of `data`. */
  path?: string;
  media_type?: string;
  /** Base64. */
  data?: string;
}

export const PromptSchema = defineEntity({
  name: 'Prompt',
  tableName: 'prompts',
  properties: {
    id: p.uuid().primary(),
    task_id: p.uuid(),
    board_id: p.uuid(),
    /** Which has sent it; null while it waits. */
    run_id: p.uuid().nullable(),
    agent_id: p.uuid().nullable(),
    kind: p.string().length(20).$type<PromptKind>(),
    text: p.text(),
    attachments: p.json<PromptAttachment[]>().defaultRaw(`'[]'`),
    /** Whoever asks does not wait for the end of the turn. */
    interrupt: p.boolean().default(false),
    state: p.string().length(20).$type<PromptState>().default('QUEUED'),
    /** The agent's word for how its turn has ended. */
    stop_reason: p.string().length(100).nullable(),
    /** For people: why it came to nothing. */
    failure: p.text().nullable(),
    tokens_in: p.bigint('number').nullable(),
    tokens_out: p.bigint('number').nullable(),
    cost_usd: p.float().columnType('double precision').nullable(),
    /** Null for the server itself. */
    requested_by: p.uuid().nullable(),
    created_at: p.datetime(3).defaultRaw('now()'),
    sent_at: p.datetime(3).nullable(),
    ended_at: p.datetime(3).nullable(),
  },
  checks: [
    { name: 'prompts_kind_check', expression: "kind in ('first', 'follow_up')" },
    { name: 'prompts_state_check', expression: "state in ('QUEUED', 'SENT', 'COMPLETED', 'CANCELLED', 'FAILED')" },
  ],
});

/** What an agent is asked to do: one prompt turn. */
export class Prompt extends PromptSchema.class {}
PromptSchema.setClass(Prompt);
