import { Module } from '@nestjs/common';
import { OrchestratorController } from './api/orchestrator.controller.js';
import { RunsController } from './api/runs.controller.js';
import { DispatchSignal } from './app/dispatch-signal.js';
import { RunHolds } from './app/hold-run.js';
import { LaunchGate } from './app/launch-gate.js';
import { HoldWishes, PauseRunHandler, ResumeRunHandler } from './app/pause-run.js';
import { GetOrchestratorStatusHandler, GetQueueHandler } from './app/queue.queries.js';
import { QueueKeeper } from './app/queue-keeper.js';
import { QueueUpkeep } from './app/queue-upkeep.js';
import { RunAutomation } from './app/run-automation.js';
import { RunClaims } from './app/run-claims.js';
import { RunDispatcher } from './app/run-dispatcher.js';
import { RunDriver } from './app/run-driver.js';
import { RunKeeper } from './app/run-keeper.js';
import { GetRunStatusHandler } from './app/run-status.query.js';
import { RunNews } from './app/run-news.js';
import { RunWaits } from './app/run-waits.js';
import { FindRunHandler, FindTasksWithLiveRunHandler, ListRunsHandler } from './app/run.queries.js';
import { StartRunHandler } from './app/start-run.js';
import { StopRunHandler } from './app/stop-run.js';
import { RunSync } from './app/sync-run.js';
import { ThisHost } from './app/this-host.js';
import { WaitReasons } from './app/wait-reasons.js';
import { AgentHost } from './domain/agent-host.entity.js';
import { AgentTypeNeeds } from './domain/agent-type-needs.entity.js';
import { BoardShare, UserShare } from './domain/queue-share.entity.js';
import { Run } from './domain/run.entity.js';
import { RunLimit } from './domain/run-limit.entity.js';

export const orchestratorEntities = [Run, AgentHost, RunLimit, AgentTypeNeeds, BoardShare, UserShare];

/** Runs: queue, waiting, dispatch, leases, reconciliation. */
@Module({
  controllers: [OrchestratorController, RunsController],
  providers: [
    DispatchSignal,
    ...[RunClaims, RunSync, RunWaits, LaunchGate, RunHolds, HoldWishes, RunDriver],
    ...[ThisHost, QueueUpkeep, QueueKeeper, RunNews],
    ...[RunDispatcher, RunKeeper, RunAutomation, WaitReasons],
    ...[StartRunHandler, StopRunHandler, PauseRunHandler, ResumeRunHandler],
    ...[FindRunHandler, FindTasksWithLiveRunHandler, ListRunsHandler, GetRunStatusHandler],
    ...[GetOrchestratorStatusHandler, GetQueueHandler],
  ],
})
export class OrchestratorModule {}
