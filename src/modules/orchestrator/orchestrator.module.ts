import { Module } from '@nestjs/common';
import { OrchestratorController } from './api/orchestrator.controller.js';
import { DispatchSignal } from './app/dispatch-signal.js';
import { RunAutomation } from './app/run-automation.js';
import { RunClaims } from './app/run-claims.js';
import { RunDispatcher } from './app/run-dispatcher.js';
import { RunDriver } from './app/run-driver.js';
import { RunKeeper } from './app/run-keeper.js';
import {
  FindTasksWithLiveRunHandler,
  GetOrchestratorStatusHandler,
  GetQueueHandler,
  GetRunStatusHandler,
} from './app/run.queries.js';
import { StartRunHandler } from './app/start-run.js';
import { StopRunHandler } from './app/stop-run.js';
import { RunSync } from './app/sync-run.js';
import { Run } from './domain/run.entity.js';

export const orchestratorEntities = [Run];

/** Runs: queue, dispatch, leases, reconciliation. */
@Module({
  controllers: [OrchestratorController],
  providers: [
    DispatchSignal,
    ...[RunClaims, RunSync, RunDriver, RunDispatcher, RunKeeper, RunAutomation],
    ...[StartRunHandler, StopRunHandler],
    ...[FindTasksWithLiveRunHandler, GetOrchestratorStatusHandler, GetQueueHandler, GetRunStatusHandler],
  ],
})
export class OrchestratorModule {}
