import { Injectable } from '@nestjs/common';
import { LockMode } from '@mikro-orm/core';
import { Transactions } from '../../../common/persistence/transactions.js';
import { RunStateChangedEvent } from '../contracts/run.events.js';
import { isLive } from '../domain/run-state.js';
import { Run } from '../domain/run.entity.js';
import { DispatchSignal } from './dispatch-signal.js';
import type { ClaimedRun } from './run-rows.js';
import { RunWaits } from './run-waits.js';

/** The last look before an agent comes to life: a dependency may have been added or reopened just before the claim. */
@Injectable()
export class LaunchGate {
  constructor(
    private readonly transactions: Transactions,
    private readonly waits: RunWaits,
    private readonly signal: DispatchSignal,
  ) {}

  /**
   * Whether the attempt may be launched, for a run whose attempt has no agent instance. One that has to wait after
   * all goes back into the queue; one that is being stopped meanwhile ends there and then. A kill before or after
   * leaves a run that is claimed, or taken over, and comes here again.
   */
  async passes({ id, task_id, attempt, epoch }: ClaimedRun): Promise<boolean> {
    const waits = await this.waits.mustWait(task_id);
    return this.transactions.run(async (tx) => {
      const run = await tx.em.findOne(Run, { id, attempt, epoch }, { lockMode: LockMode.PESSIMISTIC_WRITE });
      if (!run || run.state === 'QUEUED' || !isLive(run.state)) return false; // no longer ours to launch
      if (!waits && run.state !== 'STOPPING') return true;
      if (!run.putBack() && !run.apply('agent_stopped', new Date())) return true;
      await tx.em.flush();
      tx.emit(new RunStateChangedEvent(run.id, run.version, { task_id, state: run.state }));
      tx.afterCommit(() => this.signal.ring()); // its slot is free again
      return false;
    });
  }
}
