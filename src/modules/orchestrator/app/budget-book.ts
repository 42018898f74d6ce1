import { Injectable } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { CompiledQuery, sql } from 'kysely';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import { SumUsageQuery, type AttemptCaps, type UsageSums } from '../../agent/contracts/usage.queries.js';
import { amountsOf, capsOf, usedUp, type BudgetOf, type Holding, type UsedUp } from '../domain/budget.js';
import type { RunDB } from './run-rows.js';

/** What of a run says which budgets hold for it; none of it ever changes. */
export interface RunSubjects {
  id: string;
  task_id: string;
  board_id: string;
  agent_type: string;
}

/** What keeps a run from starting, and when the next day begins (RFC 3339). */
export interface Refusal extends UsedUp {
  next_day_at: string;
}

export const BUDGET_COLUMNS = [
  ...(['scope', 'subject', 'period'] as const),
  ...(['wall_clock_seconds', 'output_bytes', 'messages', 'tokens', 'cost_usd'] as const),
];

/** Whether any budget holds for a row of `runs`. As text, as it is a part of every start. */
export const HAS_BUDGETS = `exists (
  select from budgets where scope = 'board' and subject = runs.board_id::text
    or scope = 'task' and subject = runs.task_id::text or scope = 'agent_type' and subject = runs.agent_type)`;
const BUDGETED = `select id, task_id, board_id, agent_type from runs where id = any($1::uuid[]) and ${HAS_BUDGETS}`;

/** Budgets and what was used of them, from the rows as they are. Where no budget holds, no usage is read. */
@Injectable()
export class BudgetBook {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
  ) {}

  /** The run as budgets see it; undefined where there is none. */
  subjectsOf(run_ids: readonly string[]): Promise<RunSubjects[]> {
    const ids = sql<string>`any(${run_ids}::uuid[])`;
    const runs = this.db().selectFrom('runs').select(['id', 'task_id', 'board_id', 'agent_type']);
    return this.transactions.prepared<RunSubjects>(runs.where('id', '=', ids).compile());
  }

  /** Those of the runs for which any budget holds, as budgets see them. */
  budgeted(run_ids: readonly string[]): Promise<RunSubjects[]> {
    return this.transactions.prepared<RunSubjects>(CompiledQuery.raw(BUDGETED, [run_ids]));
  }

  /** The budget that is used up, for an attempt that would begin now; null where each has something left. */
  async refusalFor(run_id: string): Promise<Refusal | null> {
    return (await this.refusalsFor([run_id])).get(run_id) ?? null;
  }

  /** The same of many, by run; those that nothing keeps are left out. */
  async refusalsFor(run_ids: readonly string[]): Promise<Map<string, Refusal>> {
    const runs = run_ids.length > 0 ? await this.budgeted(run_ids) : [];
    const budgets = runs.length > 0 ? await this.budgetsOf(runs) : [];
    if (budgets.length === 0) return new Map();
    const sums = await this.sums(budgets, runs);
    const refusals = runs.flatMap((run): [string, Refusal][] => {
      const found = usedUp(holdingsOf(run, budgets, sums, sums.today));
      return found ? [[run.id, { ...found, next_day_at: sums.next_day_at }]] : [];
    });
    return new Map(refusals);
  }

  /**
   * Keeps the budget as it was read until the transaction ends; false where it was changed or removed since. To be
   * called before the run is locked, as who changes a budget locks it before its runs.
   */
  async keep(tx: Tx, { scope, subject, period, ...limits }: BudgetOf): Promise<boolean> {
    const budgets = tx.kysely<RunDB>().selectFrom('budgets').select(BUDGET_COLUMNS);
    const row = await budgets
      .where('scope', '=', scope)
      .where('subject', '=', subject)
      .where('period', '=', period)
      .forShare()
      .executeTakeFirst();
    return (
      row !== undefined && Object.entries(limits).every(([name, limit]) => row[name as keyof typeof row] === limit)
    );
  }

  /** What live attempts may still use. Those for which no budget holds have no caps. */
  async caps(attempts: readonly { agent_id: string; run: RunSubjects }[]): Promise<AttemptCaps[]> {
    const runs = attempts.map(({ run }) => run);
    const budgets = await this.budgetsOf(runs);
    if (budgets.length === 0) return [];
    const held = attempts.filter(({ run }) => budgets.some((budget) => holdsFor(budget, run)));
    const sums = await this.sums(
      budgets,
      held.map(({ run }) => run),
    );
    return held.flatMap(({ agent_id, run }) => {
      const used = sums.sums.find(({ scope, subject }) => scope === 'agent' && subject === agent_id);
      if (!used) return []; // it has ended
      return [{ agent_id, used, caps: capsOf(holdingsOf(run, budgets, sums, used.day ?? sums.today)) }];
    });
  }

  private budgetsOf(runs: readonly RunSubjects[]): Promise<BudgetOf[]> {
    const of = (field: keyof RunSubjects) => sql<string>`any(${[...new Set(runs.map((run) => run[field]))]}::text[])`;
    const statement = this.db()
      .selectFrom('budgets')
      .select(BUDGET_COLUMNS)
      .where((is) =>
        is.or([
          is.and([is('scope', '=', 'board'), is('subject', '=', of('board_id'))]),
          is.and([is('scope', '=', 'task'), is('subject', '=', of('task_id'))]),
          is.and([is('scope', '=', 'agent_type'), is('subject', '=', of('agent_type'))]),
        ]),
      )
      .compile();
    return this.transactions.prepared<BudgetOf>(statement);
  }

  private sums(budgets: readonly BudgetOf[], runs: readonly RunSubjects[]): Promise<UsageSums> {
    const of = (wanted: BudgetOf['scope']) =>
      budgets.filter(({ scope, period }) => scope === wanted && period !== 'run').map(({ subject }) => subject);
    const query = { boards: of('board'), tasks: of('task'), runs: runs.map(({ id }) => id) };
    return this.queries.execute(new SumUsageQuery(query));
  }

  private db() {
    return this.transactions.kysely<RunDB>();
  }
}

function holdsFor({ scope, subject }: BudgetOf, run: RunSubjects): boolean {
  return subject === { board: run.board_id, task: run.task_id, agent_type: run.agent_type }[scope];
}

/** The budgets that hold for an attempt that began on that day, with what was used of them. */
function holdingsOf(run: RunSubjects, budgets: readonly BudgetOf[], { sums }: UsageSums, day: string): Holding[] {
  return budgets
    .filter((budget) => holdsFor(budget, run))
    .map((budget) => {
      const { period } = budget;
      const [scope, subject] = period === 'run' ? ['run', run.id] : [budget.scope, budget.subject];
      const of = period === 'day' ? day : null;
      const sum = sums.find((one) => one.scope === scope && one.subject === subject && one.day === of);
      return { budget, used: amountsOf(sum) };
    });
}
