import { Injectable } from '@nestjs/common';
import { LockMode } from '@mikro-orm/core';
import { CompiledQuery } from 'kysely';
import { Transactions } from '../../../common/persistence/transactions.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { RunStateChangedEvent } from '../contracts/run.events.js';
import { isLive } from '../domain/run-state.js';
import { Run } from '../domain/run.entity.js';
import { AttemptEnds, STOPPED_BEFORE } from './attempt-ends.js';
import { BudgetBook, HAS_BUDGETS, type Refusal } from './budget-book.js';
import { DispatchSignal } from './dispatch-signal.js';
import type { ClaimedRun } from './run-rows.js';
import { RunWaits } from './run-waits.js';

/** Of a claim that still holds. */
const LOOK = `
  select ${HAS_BUDGETS} as has_budgets from runs
  where id = $1 and attempt = $2 and epoch = $3 and state = 'STARTING'`;

/** As often as an agent that was left behind is looked for; by the clock that wakes parked runs. */
const IN_A_MOMENT = CompiledQuery.raw(`select now() + interval '5 seconds' as at`);

type Claim = Pick<ClaimedRun, 'id' | 'task_id' | 'attempt' | 'epoch'>;

/**
 * The last look before an agent comes to life: a dependency may have been added or reopened just before the claim, and
 * each attempt needs something left of every budget that holds for it.
 */
@Injectable()
export class LaunchGate {
  constructor(
    private readonly transactions: Transactions,
    private readonly waits: RunWaits,
    private readonly signal: DispatchSignal,
    private readonly budgets: BudgetBook,
    private readonly ends: AttemptEnds,
  ) {}

  /**
   * Whether the claim holds and no budget is used up, in one look where none is set. For a run that was claimed a moment
   * ago; false says nothing but that {@link passes} is to be asked. Its dependencies and its place are not looked at: the
   * dispatch of its task does that.
   */
  async isClear({ id, attempt, epoch }: Claim): Promise<boolean> {
    const look = CompiledQuery.raw(LOOK, [id, attempt, epoch]);
    const [run] = await this.transactions.prepared<{ has_budgets: boolean }>(look);
    if (!run) return false;
    return !run.has_budgets || (await this.budgets.refusalFor(id)) === null;
  }

  /**
   * Whether the attempt may be launched, for a run whose attempt has no agent instance. One that has to wait after
   * all goes back into the queue; one that is being stopped meanwhile ends there and then. A kill before or after
   * leaves a run that is claimed, or taken over, and comes here again. Where a budget of the day is used up the run is
   * parked until the next one.
   * @throws DomainError `budget.exhausted` (conflict) where only a person can change that
   */
  async passes({ id, task_id, attempt, epoch }: ClaimedRun): Promise<boolean> {
    const claim = { id, task_id, attempt, epoch };
    if (await this.waits.mustWait(task_id, id)) return this.decide(claim, true);
    for (;;) {
      const refusal = await this.budgets.refusalFor(id);
      if (!refusal) return this.decide(claim, false);
      const decided = await this.refuse(claim, refusal);
      if (decided !== 'changed') return decided;
    }
  }

  /** For one that passed, and whose task finds no place all the same: somebody was faster. */
  async putBack(run: ClaimedRun): Promise<void> {
    await this.decide(run, true);
  }

  /** For one that passed, while an agent of its task that was left behind is not known to be gone: asked again in a moment. */
  async park({ id, task_id, attempt, epoch }: Claim): Promise<void> {
    await this.transactions.run(async (tx) => {
      const run = await tx.em.findOne(Run, { id, attempt, epoch }, { lockMode: LockMode.PESSIMISTIC_WRITE });
      if (!run || run.state === 'QUEUED' || !isLive(run.state)) return;
      const { rows } = await tx.kysely().executeQuery<{ at: Date }>(IN_A_MOMENT);
      const until = { not_before: new Date(rows[0]!.at), parked_for: 'agent_left' } as const;
      if (!run.putBack(until) && !(await this.ends.take(tx, run, STOPPED_BEFORE))) return;
      await tx.em.flush();
      tx.emit(new RunStateChangedEvent(run.id, run.version, { task_id, state: run.state }));
      tx.afterCommit(() => this.signal.ring());
    });
  }

  /** `changed` where the budget is another one by now: who has changed it has not seen this run among the parked ones. */
  private refuse({ id, task_id, attempt, epoch }: Claim, refusal: Refusal): Promise<boolean | 'changed'> {
    return this.transactions.run(async (tx) => {
      if (!(await this.budgets.keep(tx, refusal.budget))) return 'changed';
      const run = await tx.em.findOne(Run, { id, attempt, epoch }, { lockMode: LockMode.PESSIMISTIC_WRITE });
      if (!run || run.state === 'QUEUED' || !isLive(run.state)) return false;
      if (run.state === 'STARTING' && refusal.budget.period !== 'day')
        throw new DomainError('conflict', 'budget.exhausted', refusal.message);
      const until = { not_before: new Date(refusal.next_day_at), parked_for: 'budget' } as const;
      if (!run.putBack(until) && !(await this.ends.take(tx, run, STOPPED_BEFORE))) return true;
      await tx.em.flush();
      tx.emit(new RunStateChangedEvent(run.id, run.version, { task_id, state: run.state }));
      tx.afterCommit(() => this.signal.ring());
      return false;
    });
  }

  private decide({ id, task_id, attempt, epoch }: Claim, waits: boolean): Promise<boolean> {
    return this.transactions.run(async (tx) => {
      const run = await tx.em.findOne(Run, { id, attempt, epoch }, { lockMode: LockMode.PESSIMISTIC_WRITE });
      if (!run || run.state === 'QUEUED' || !isLive(run.state)) return false; // no longer ours to launch
      if (!waits && run.state !== 'STOPPING') return true;
      if (!run.putBack() && !(await this.ends.take(tx, run, STOPPED_BEFORE))) return true;
      await tx.em.flush();
      tx.emit(new RunStateChangedEvent(run.id, run.version, { task_id, state: run.state }));
      tx.afterCommit(() => this.signal.ring()); // its slot is free again
      return false;
    });
  }
}
