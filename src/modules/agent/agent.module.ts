import { Module } from '@nestjs/common';
import { AgentMessagesController } from './api/agent-messages.controller.js';
import { AgentTypeVersionsController } from './api/agent-type-versions.controller.js';
import { AgentTypesController } from './api/agent-types.controller.js';
import { AgentsController } from './api/agents.controller.js';
import { NdjsonBodies } from './api/ndjson.js';
import { ChangesController } from './api/changes.controller.js';
import { InputController } from './api/input.controller.js';
import { MessagesController } from './api/messages.controller.js';
import { OutputController } from './api/output.controller.js';
import { RescuesController } from './api/rescues.controller.js';
import { WorkspacesController } from './api/workspaces.controller.js';
import { ProbeController } from './api/probe.controller.js';
import { GetAgentTaskHandler, ResolveAgentHandler } from './app/agent-key.queries.js';
import { ListAgentNeedsHandler } from './app/agent-needs.query.js';
import { FindAttendedAttemptsHandler } from './app/attended-attempts.query.js';
import { AgentLooks } from './app/agent-looks.js';
import { AgentMetrics } from './app/agent-metrics.js';
import { AgentTypeRules } from './app/agent-type-rules.js';
import { CreateAgentTypeHandler, UpdateAgentTypeHandler } from './app/agent-type.crud.js';
import {
  GetAgentTypeHandler,
  GetAgentTypeVersionHandler,
  ListAgentTypesHandler,
  ListAgentTypeVersionsHandler,
} from './app/agent-type.queries.js';
import {
  FindAttemptAgentHandler,
  FindLatestAgentHandler,
  GetProgressHandler,
  GetStartableAgentTypeHandler,
} from './app/agent.queries.js';
import { ListArtifactsHandler, OpenArtifactHandler } from './app/artifact.queries.js';
import { ArtifactCollector } from './app/artifact-collector.js';
import { ArtifactGatherer } from './app/artifact-gatherer.js';
import { ArtifactSources } from './app/artifact-sources.js';
import { AttemptSupplies } from './app/attempt-supplies.js';
import { AttemptSupervisor } from './app/attempt-supervisor.js';
import { AttemptTools } from './app/attempt-tools.js';
import { DeleteAgentTypeHandler } from './app/delete-agent-type.js';
import { CommitWorkspaceHandler } from './app/commit-workspace.js';
import { PushWorkspaceHandler } from './app/push-workspace.js';
import { RemoveWorkspaceHandler } from './app/remove-workspace.js';
import { WorkspaceRescuer } from './app/rescue-workspace.js';
import { ListRescuesHandler, ListTaskRescuesHandler } from './app/rescue.queries.js';
import { RestorePlaces } from './app/restore-places.js';
import { RestoreRescueHandler } from './app/restore-rescue.js';
import { GetTaskDiffHandler, ReadTaskPatchHandler } from './app/task-diff.js';
import { TaskWorkspaces } from './app/workspace-access.js';
import { WorkspaceKeeper } from './app/workspace-keeper.js';
import { ListWorkspacesHandler } from './app/workspace.queries.js';
import { WorkTrees } from './domain/work-trees.js';
import { GitWorkTrees } from './infra/git/git-work-trees.js';
import { WorkTreeReader } from './infra/git/work-tree-reader.js';
import { DeclareAgentLostHandler } from './app/declare-agent-lost.js';
import { DeletedArtifacts } from './app/deleted-artifacts.js';
import { DeletedTasks } from './app/deleted-tasks.js';
import { GetDiskHandler } from './app/disk.queries.js';
import { GetLaunchProgressHandler } from './app/launch-progress.query.js';
import { HostPlaces } from './app/host-places.js';
import { AnnounceRetryHandler } from './app/announce-retry.js';
import { FreezeAgentsHandler } from './app/freeze-agents.js';
import { CanHoldAgentHandler, HoldAgentHandler } from './app/hold-agent.js';
import { LeftAgents } from './app/left-agents.js';
import { FindLeftAgentsHandler } from './app/left-agents.query.js';
import { InstanceCondition } from './app/instance-condition.js';
import { GetEngineHandler } from './app/engine.queries.js';
import { InstanceJournal } from './app/instance-journal.js';
import { LaunchJournal } from './app/launch-journal.js';
import { GetInstanceHandler, ListInstancesHandler, ListTaskInstancesHandler } from './app/instance.queries.js';
import { LaunchAgentHandler } from './app/launch-agent.js';
import { LaunchSpecs } from './app/launch-spec.js';
import { ListLogsHandler } from './app/log.queries.js';
import { DownloadMessagesHandler } from './app/download-messages.js';
import { DownloadSlots } from './app/download-slots.js';
import { MessageLog } from './app/message-log.js';
import { MessagePages } from './app/message-pages.js';
import { MessageRetention } from './app/message-retention.js';
import { GetStreamHeadsHandler, ReadMessagesHandler, ReadReplayHandler } from './app/message.queries.js';
import { SegmentMetrics } from './app/segment-metrics.js';
import { OrphanSweeper } from './app/orphan-sweeper.js';
import { ImageCheck } from './app/image-check/image-check.js';
import { ProbeAgentTypeHandler } from './app/probe-agent-type.js';
import { PostMessagesHandler } from './app/post-messages.js';
import { InputJournal } from './app/input-journal.js';
import { SendAgentInputHandler } from './app/send-input.js';
import { Redactors } from './app/redactors.js';
import { ResultArtifacts } from './app/result-artifacts.js';
import { ReleaseAgentHandler, StopAgentHandler, StopInstanceHandler } from './app/stop-agent.js';
import { UsageSampler } from './app/usage-sampler.js';
import { TaskLocks } from './app/task-locks.js';
import { TornCopies } from './app/torn-copies.js';
import { TaskSecrets } from './app/task-secrets.js';
import { LimitAgentsHandler, ListSupervisedAgentsHandler } from './app/supervised-agents.js';
import { AddUpUsageHandler, FindAgentTypeNameHandler, ListUsageHandler, SumUsageHandler } from './app/usage.queries.js';
import { WorkspaceRecords } from './app/workspace-records.js';
import { AgentFiles } from './domain/agent-files.js';
import { AgentInstance } from './domain/agent-instance.entity.js';
import { AgentTypeVersion } from './domain/agent-type-version.entity.js';
import { AgentType } from './domain/agent-type.entity.js';
import { Artifact } from './domain/artifact.entity.js';
import { Credentials } from './domain/credentials.js';
import { Gateways } from './domain/gateways.js';
import { AcpMessageRow, MessageSegment, TaskStream, TaskStreamSegment } from './domain/message.entity.js';
import { Rescue } from './domain/rescue.entity.js';
import { EngineChecks } from './domain/sandbox-engine.js';
import { UsageDay, UsageTotal } from './domain/usage.entity.js';
import { Workspace } from './domain/workspace.entity.js';
import { Workspaces } from './domain/workspaces.js';
import { CredentialSources } from './infra/credentials/credential-source.js';
import { HostCredentials } from './infra/credentials/host-credentials.js';
import { EngineProbe } from './infra/docker/engine-probe.js';
import { EngineTrial } from './infra/docker/engine-trial.js';
import { SafeFiles } from './infra/files/safe-files.js';
import { runtimeProviders } from './infra/runtime-providers.js';
import { Git } from './infra/git/git.js';
import { GitRemotes } from './infra/git/git-remotes.js';
import { GitWorkspaces } from './infra/git/git-workspaces.js';
import { Repositories } from './infra/git/repositories.js';
import { RepositoryChore } from './infra/git/repository-chore.js';
import { HostGateways } from './infra/network/host-gateways.js';

export const agentEntities = [
  ...[
    AgentType,
    AgentInstance,
    AcpMessageRow,
    MessageSegment,
    TaskStream,
    TaskStreamSegment,
    Artifact,
    AgentTypeVersion,
  ],
  ...[Workspace, Rescue],
  ...[UsageDay, UsageTotal],
];

/** Agents: their types, instances, containers, workspaces and output. */
@Module({
  controllers: [
    AgentTypesController,
    AgentTypeVersionsController,
    ProbeController,
    AgentsController,
    AgentMessagesController,
    ...[OutputController, MessagesController],
    ...[ChangesController, InputController, WorkspacesController, RescuesController],
  ],
  providers: [
    ...runtimeProviders,
    { provide: AgentFiles, useClass: SafeFiles },
    { provide: Workspaces, useClass: GitWorkspaces },
    CredentialSources,
    { provide: Credentials, useClass: HostCredentials },
    { provide: Gateways, useClass: HostGateways },
    ...[EngineTrial, EngineProbe],
    { provide: EngineChecks, useExisting: EngineProbe },
    ...[Git, GitRemotes, Repositories, RepositoryChore],
    ...[WorkTreeReader, { provide: WorkTrees, useClass: GitWorkTrees }, TaskWorkspaces, RestorePlaces],
    ...[WorkspaceRescuer, WorkspaceKeeper, RemoveWorkspaceHandler, RestoreRescueHandler],
    ...[GetTaskDiffHandler, ReadTaskPatchHandler, CommitWorkspaceHandler, PushWorkspaceHandler],
    ...[ListRescuesHandler, ListTaskRescuesHandler, ListWorkspacesHandler],
    ...[
      MessageLog,
      Redactors,
      InstanceJournal,
      LaunchJournal,
      ...[ArtifactSources, ArtifactGatherer, ArtifactCollector, ResultArtifacts],
      LaunchSpecs,
      TaskLocks,
      TaskSecrets,
      WorkspaceRecords,
      AttemptSupplies,
      AttemptTools,
      AttemptSupervisor,
      OrphanSweeper,
      ...[DeletedTasks, DeletedArtifacts, TornCopies],
    ],
    ...[AgentMetrics, InstanceCondition, AgentLooks, UsageSampler, HoldAgentHandler, CanHoldAgentHandler],
    ...[FreezeAgentsHandler, LeftAgents, FindLeftAgentsHandler],
    ...[DeclareAgentLostHandler, HostPlaces],
    AnnounceRetryHandler,
    ...[LaunchAgentHandler, StopAgentHandler, StopInstanceHandler, ReleaseAgentHandler],
    ...[
      FindAttendedAttemptsHandler,
      FindAttemptAgentHandler,
      FindLatestAgentHandler,
      GetProgressHandler,
      GetStartableAgentTypeHandler,
    ],
    GetLaunchProgressHandler,
    ...[MessagePages, ReadMessagesHandler, ReadReplayHandler, GetStreamHeadsHandler],
    ...[DownloadSlots, DownloadMessagesHandler],
    ...[SegmentMetrics, MessageRetention],
    ...[ListLogsHandler, ListArtifactsHandler, OpenArtifactHandler],
    ...[AgentTypeRules, CreateAgentTypeHandler, UpdateAgentTypeHandler, DeleteAgentTypeHandler],
    ...[ListAgentTypesHandler, GetAgentTypeHandler, ListAgentTypeVersionsHandler, GetAgentTypeVersionHandler],
    ...[ImageCheck, ProbeAgentTypeHandler],
    ...[GetInstanceHandler, ListInstancesHandler, ListTaskInstancesHandler],
    ...[GetDiskHandler, ListAgentNeedsHandler],
    ...[LimitAgentsHandler, ListSupervisedAgentsHandler],
    ...[SumUsageHandler, ListUsageHandler, AddUpUsageHandler, FindAgentTypeNameHandler],
    ...[InputJournal, SendAgentInputHandler],
    ...[NdjsonBodies, PostMessagesHandler, ResolveAgentHandler, GetAgentTaskHandler, GetEngineHandler],
  ],
})
export class AgentModule {}
