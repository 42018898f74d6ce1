import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { AuditLog } from '../../../common/audit/audit-log.js';
import type { Actor } from '../../../common/auth/actor.js';
import { Command } from '../../../common/bus/contracts.js';
import { notFound } from '../../../common/errors/domain-error.js';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import type { BudgetKey, BudgetLimits, BudgetPeriod } from '../domain/budget.js';
import { BUDGET_COLUMNS } from './budget-book.js';
import { BudgetTargets, type BudgetTarget } from './budget-targets.js';
import type { RunDB } from './run-rows.js';

/**
 * Sets a budget, all its limits at once. It holds within seconds for what runs, and at once for what is about to start;
 * runs that are parked because of one are looked at again.
 * @throws DomainError see {@link BudgetTargets}
 */
export class SetBudgetCommand extends Command<void> {
  constructor(
    readonly actor: Actor,
    readonly target: BudgetTarget,
    readonly period: BudgetPeriod,
    readonly limits: BudgetLimits,
  ) {
    super();
  }
}

/** Takes a budget away. @throws DomainError `budget.not_found`; see {@link BudgetTargets} */
export class RemoveBudgetCommand extends Command<void> {
  constructor(
    readonly actor: Actor,
    readonly target: BudgetTarget,
    readonly period: BudgetPeriod,
  ) {
    super();
  }
}

@CommandHandler(SetBudgetCommand)
export class SetBudgetHandler implements ICommandHandler<SetBudgetCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly targets: BudgetTargets,
    private readonly audit: AuditLog,
  ) {}

  async execute({ actor, target, period, limits }: SetBudgetCommand): Promise<void> {
    const subject = await this.targets.subject(actor, target, 'change');
    const key = { scope: target.scope, subject, period };
    await this.transactions.run(async (tx) => {
      const before = await lockBudget(tx, key);
      const row = { ...limits, updated_by: actor.user_id ?? null, updated_at: sql<Date>`now()` };
      await tx
        .kysely<RunDB>()
        .insertInto('budgets')
        .values({ ...key, ...row })
        .onConflict((on) => on.columns(['scope', 'subject', 'period']).doUpdateSet(row))
        .execute();
      const data = { ...key, ...limits, before };
      await this.audit.record(
        { action: 'budget.set', actor, subject: { type: target.scope, id: target.id }, data },
        tx,
      );
      await unpark(tx, key);
    });
  }
}

@CommandHandler(RemoveBudgetCommand)
export class RemoveBudgetHandler implements ICommandHandler<RemoveBudgetCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly targets: BudgetTargets,
    private readonly audit: AuditLog,
  ) {}

  async execute({ actor, target, period }: RemoveBudgetCommand): Promise<void> {
    const subject = await this.targets.subject(actor, target, 'change');
    const key = { scope: target.scope, subject, period };
    await this.transactions.run(async (tx) => {
      const before = await lockBudget(tx, key);
      if (!before) throw notFound('budget');
      const budgets = tx.kysely<RunDB>().deleteFrom('budgets').where('scope', '=', key.scope);
      await budgets.where('subject', '=', subject).where('period', '=', period).execute();
      const data = { ...key, before };
      await this.audit.record(
        { action: 'budget.removed', actor, subject: { type: target.scope, id: target.id }, data },
        tx,
      );
      await unpark(tx, key);
    });
  }
}

async function lockBudget(tx: Tx, { scope, subject, period }: BudgetKey): Promise<BudgetLimits | null> {
  const budgets = tx.kysely<RunDB>().selectFrom('budgets').select(BUDGET_COLUMNS).where('scope', '=', scope);
  const row = await budgets.where('subject', '=', subject).where('period', '=', period).forUpdate().executeTakeFirst();
  if (!row) return null;
  const { wall_clock_seconds, output_bytes, messages, tokens, cost_usd } = row;
  return { wall_clock_seconds, output_bytes, messages, tokens, cost_usd };
}

/** Runs that a budget holds back go to the gate again, in whichever process; those that it still holds back return. */
async function unpark(tx: Tx, { scope, subject }: BudgetKey): Promise<void> {
  if (scope === 'agent_type') return; // its budgets are of each run, and park none
  const db = tx.kysely<RunDB>();
  await db
    .updateTable('runs')
    .set({ not_before: null, parked_for: null, updated_at: sql<Date>`now()`, version: sql<number>`version + 1` })
    .where('id', 'in', (parked) =>
      parked
        .selectFrom('runs')
        .select('id')
        .where('state', '=', 'QUEUED')
        .where('not_before', 'is not', null)
        .where('parked_for', '=', 'budget')
        .where(scope === 'board' ? 'board_id' : 'task_id', '=', subject)
        .orderBy('id')
        .forNoKeyUpdate(),
    )
    .execute();
  await sql`select pg_notify('kandev_runs', '')`.execute(db);
}
