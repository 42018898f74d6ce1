import { Module } from '@nestjs/common';
import { AgentTypeBudgetsController } from './api/agent-type-budgets.controller.js';
import { BoardBudgetsController } from './api/board-budgets.controller.js';
import { HostsController } from './api/hosts.controller.js';
import { OrchestratorController } from './api/orchestrator.controller.js';
import { RunLimitsController } from './api/run-limits.controller.js';
import { RunsController } from './api/runs.controller.js';
import { TaskBudgetsController } from './api/task-budgets.controller.js';
import { UsageController } from './api/usage.controller.js';
import { GetAttemptCapsHandler } from './app/attempt-caps.query.js';
import { BudgetBook } from './app/budget-book.js';
import { BudgetKeeper } from './app/budget-keeper.js';
import { BudgetTargets } from './app/budget-targets.js';
import { GetUsageHandler, ListBudgetsHandler } from './app/budget.queries.js';
import { RemoveBudgetHandler, SetBudgetHandler } from './app/change-budget.js';
import { DispatchRoom } from './app/dispatch-room.js';
import { AttemptsController } from './api/attempts.controller.js';
import { DeadLettersController } from './api/dead-letters.controller.js';
import { ListAttemptsHandler } from './app/attempt.queries.js';
import { AttemptEnds } from './app/attempt-ends.js';
import { DeadLetters } from './app/dead-letter-rows.js';
import { ListDeadLettersHandler } from './app/dead-letters.queries.js';
import { DismissDeadLetterHandler } from './app/dismiss-dead-letter.js';
import { RedriveDeadLetterHandler, RedriveDeadLettersHandler } from './app/redrive-dead-letters.js';
import { RetryNews } from './app/retry-news.js';
import { RunTerms } from './app/run-terms.js';
import { DispatchSignal } from './app/dispatch-signal.js';
import { DrainHostHandler } from './app/drain-host.js';
import { RunHolds } from './app/hold-run.js';
import { FindHostNameHandler, GetHostHandler, IsHostUpHandler, ListHostsHandler } from './app/host.queries.js';
import { LostHosts } from './app/lost-hosts.js';
import { LostRuns } from './app/lost-runs.js';
import { RemoveHostHandler } from './app/remove-host.js';
import { LaunchGate } from './app/launch-gate.js';
import { HoldWishes, PauseRunHandler, ResumeRunHandler } from './app/pause-run.js';
import { RemoveRunLimitHandler, SetRunLimitHandler } from './app/change-run-limit.js';
import { LimitNames } from './app/limit-names.js';
import { LimitSubjects } from './app/limit-subjects.js';
import { GetOrchestratorStatusHandler } from './app/orchestrator-status.query.js';
import { GetQueueHandler } from './app/queue.queries.js';
import { GetRunLimitHandler, ListRunLimitsHandler } from './app/run-limits.queries.js';
import { QueueKeeper } from './app/queue-keeper.js';
import { QueueUpkeep } from './app/queue-upkeep.js';
import { RunAutomation } from './app/run-automation.js';
import { RunClaims } from './app/run-claims.js';
import { RunDispatcher } from './app/run-dispatcher.js';
import { RunDriver } from './app/run-driver.js';
import { RunKeeper } from './app/run-keeper.js';
import { RunMetrics } from './app/run-metrics.js';
import { GetRunStatusHandler } from './app/run-status.query.js';
import { RunPlaces } from './app/run-places.js';
import { RunPriorities } from './app/run-priorities.js';
import { RunNews } from './app/run-news.js';
import { RunWishes } from './app/run-wishes.js';
import { RunWaits } from './app/run-waits.js';
import { SelfFence } from './app/self-fence.js';
import { FindRunHandler, FindTasksWithLiveRunHandler, ListRunsHandler } from './app/run.queries.js';
import { RunStarts, StartRunHandler } from './app/start-run.js';
import { StopRunHandler } from './app/stop-run.js';
import { RunSync } from './app/sync-run.js';
import { ThisHost } from './app/this-host.js';
import { WaitReasons } from './app/wait-reasons.js';
import { AgentHost } from './domain/agent-host.entity.js';
import { AgentTypeNeeds } from './domain/agent-type-needs.entity.js';
import { Budget } from './domain/budget.entity.js';
import { QueueKeeperBeat } from './domain/queue-keeper.entity.js';
import { BoardShare, UserShare } from './domain/queue-share.entity.js';
import { RunAttempt } from './domain/run-attempt.entity.js';
import { Run } from './domain/run.entity.js';
import { RunLimit } from './domain/run-limit.entity.js';
import { GetUsageSumsHandler } from './app/usage-sums.query.js';

export const orchestratorEntities = [
  Run,
  RunAttempt,
  AgentHost,
  RunLimit,
  Budget,
  AgentTypeNeeds,
  BoardShare,
  UserShare,
  QueueKeeperBeat,
];

/** Runs: queue, waiting, dispatch, leases, reconciliation. */
@Module({
  controllers: [
    AttemptsController,
    DeadLettersController,
    OrchestratorController,
    HostsController,
    RunLimitsController,
    RunsController,
    BoardBudgetsController,
    TaskBudgetsController,
    AgentTypeBudgetsController,
    UsageController,
  ],
  providers: [
    DispatchSignal,
    ...[BudgetBook, BudgetKeeper, BudgetTargets],
    ...[
      SetBudgetHandler,
      RemoveBudgetHandler,
      ListBudgetsHandler,
      GetUsageHandler,
      GetUsageSumsHandler,
      GetAttemptCapsHandler,
    ],
    ...[RunClaims, RunSync, RunPlaces, RunWaits, RunPriorities, LaunchGate, RunHolds, HoldWishes, RunDriver],
    ...[ThisHost, QueueUpkeep, QueueKeeper, RunNews],
    ...[DispatchRoom, RunWishes, LostRuns, LostHosts],
    ...[DrainHostHandler, RemoveHostHandler, ListHostsHandler, GetHostHandler, FindHostNameHandler, IsHostUpHandler],
    ...[RunDispatcher, SelfFence, RunKeeper, RunAutomation, WaitReasons, RunMetrics],
    ...[AttemptEnds, RetryNews, RunTerms, RunStarts, ListAttemptsHandler, DeadLetters, ListDeadLettersHandler],
    ...[RedriveDeadLetterHandler, RedriveDeadLettersHandler, DismissDeadLetterHandler],
    ...[StartRunHandler, StopRunHandler, PauseRunHandler, ResumeRunHandler],
    ...[FindRunHandler, FindTasksWithLiveRunHandler, ListRunsHandler, GetRunStatusHandler],
    ...[GetOrchestratorStatusHandler, GetQueueHandler],
    ...[LimitNames, LimitSubjects, SetRunLimitHandler, RemoveRunLimitHandler, GetRunLimitHandler, ListRunLimitsHandler],
  ],
})
export class OrchestratorModule {}
