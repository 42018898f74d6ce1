import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer } from '../../support/api-client.js';
import type { TestUser } from '../../support/test-user.js';
import { until } from '../../support/until.js';
import type { Frame } from './notes.js';
import type { Plan } from './recipe.js';
import type { Facts } from './verdict.js';

/** What a conversation needs of the trial that it is a part of. */
export interface Stage {
  readonly admin: TestUser;
  readonly server: { readonly place: { readonly home: string } };
  /** Nothing more is wanted. */
  readonly isClosed: boolean;
  rows<T extends object>(sql: string, parameters: unknown[]): Promise<T[]>;
  sure<T>(statuses: readonly number[], ask: () => Promise<Answer<T>>): Promise<Answer<T>>;
  stream(taskId: string): Promise<Facts['messages']>;
}

const LIMIT_MS = 900_000; // of a wait over all kills of a scenario, on the slowest machine
const LOOK_MS = 60;

/** One task, whose agent is asked and answered over any number of kills. */
export class Conversation {
  isOver = false;
  /** When all is said, and its last run is over. */
  readonly over: Promise<void>;

  constructor(
    private readonly trial: Stage,
    readonly plan: Plan,
    readonly task_id: string,
    private readonly home: string,
    /** Its own numbers, 0 to 1: how many it takes depends on the machine, and must not change those of the kills. */
    private readonly random: () => number,
  ) {
    this.over = this.drive();
    this.over.catch(() => undefined); // awaited by whoever judges it
  }

  /** What the agent's notes say of it. */
  frames(file: 'received' | 'sent'): Frame[] {
    return this.lines(`${file}.ndjson`).map((line) => JSON.parse(line) as Frame);
  }

  /** Its output, as long as there is an attempt of it. */
  async output(): Promise<string | undefined> {
    const sql = 'select id from agent_instances where task_id = $1 order by created_at desc limit 1';
    const [row] = await this.trial.rows<{ id: string }>(sql, [this.task_id]);
    const file = row && join(this.trial.server.place.home, 'runs', row.id, 'out');
    return file && existsSync(file) ? file : undefined;
  }

  pending(): Promise<{ id: string; options: { option_id: string }[] }[]> {
    const sql = `select id, options from permission_requests where task_id = $1 and state = 'PENDING'`;
    return this.trial.rows(sql, [this.task_id]);
  }

  async facts(): Promise<Facts> {
    const rows = <T extends object>(sql: string): Promise<T[]> => this.trial.rows<T>(sql, [this.task_id]);
    const { mode_id, auth_method } = this.plan;
    const received = this.frames('received');
    return {
      ...{ received, sent: this.frames('sent'), starts: this.lines('starts').length },
      opening: [
        ...(auth_method === undefined ? [] : (['authenticate'] as const)),
        ...(mode_id === undefined ? [] : (['session/set_mode'] as const)),
      ],
      prompts: await rows(
        `select text, state, sent_at is not null as is_sent from prompts where task_id = $1 order by created_at, id`,
      ),
      requests: await rows(
        `select state, option_id from permission_requests where task_id = $1 order by created_at, id`,
      ),
      runs: await rows(`select state, failure_code from runs where task_id = $1`),
      attempts: await rows(`select id from agent_instances where task_id = $1`),
      messages: await this.trial.stream(this.task_id),
    };
  }

  private lines(name: string): string[] {
    const file = join(this.home, '.test-agent', name);
    return existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : [];
  }

  private async drive(): Promise<void> {
    const asking = this.ask().finally(() => (this.isOver = true));
    await Promise.all([asking, this.plan.is_unanswered ? undefined : this.answer()]);
  }

  private async ask(): Promise<void> {
    const { trial, task_id, plan } = this;
    await trial.sure([202, 409], () => trial.admin.post(`/orchestrator/tasks/${task_id}/start`, {}));
    const asked = plan.asked ?? [];
    for (const [n, { text, interrupt = false, when }] of asked.entries()) {
      if (when === 'after the run') await this.settled(n + 1);
      if (when === 'in the turn') await this.inTurn(n + 1);
      const key = { 'Idempotency-Key': `${task_id}-${n}` };
      const path = `/orchestrator/tasks/${task_id}/prompts`;
      await trial.sure([202], () => trial.admin.post(path, { text, interrupt }, key));
    }
    await this.settled(asked.length + 1);
  }

  /** So many prompts have come to their ends, and the run with them. */
  private async settled(prompts: number): Promise<void> {
    const sql = `select
      (select count(*)::int from prompts where task_id = $1 and state not in ('QUEUED', 'SENT')) as ended,
      (select count(*)::int from runs where task_id = $1 and state not in ('COMPLETED', 'FAILED', 'CANCELLED')) as live`;
    await this.until(`${prompts} prompts to be done`, async () => {
      const [row] = await this.trial.rows<{ ended: number; live: number }>(sql, [this.task_id]);
      return row && row.ended >= prompts && row.live === 0;
    });
  }

  private async inTurn(prompts: number): Promise<void> {
    await this.until(
      `the turn ${prompts}`,
      () => this.frames('received').filter(({ method }) => method === 'session/prompt').length >= prompts,
    );
  }

  private async answer(): Promise<void> {
    for (; !this.isOver && !this.trial.isClosed; await sleep(LOOK_MS)) {
      for (const { id, options } of await this.pending()) {
        const { option_id } = options[Math.floor(this.random() * options.length)]!;
        await this.trial.sure([200, 409], () => this.trial.admin.post(`/orchestrator/approvals/${id}`, { option_id }));
      }
    }
  }

  private until(what: string, ask: () => Promise<boolean | undefined> | boolean): Promise<unknown> {
    return until(`${what} of ${this.task_id}`, async () => this.trial.isClosed || (await ask()), LIMIT_MS);
  }
}
