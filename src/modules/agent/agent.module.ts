import { Module } from '@nestjs/common';
import { CONFIG } from '../../common/config/config.module.js';
import { AgentMessagesController } from './api/agent-messages.controller.js';
import { AgentTypeVersionsController } from './api/agent-type-versions.controller.js';
import { AgentTypesController } from './api/agent-types.controller.js';
import { AgentsController } from './api/agents.controller.js';
import { NdjsonBodies } from './api/ndjson.js';
import { OutputController } from './api/output.controller.js';
import { GetAgentTaskHandler, ResolveAgentHandler } from './app/agent-key.queries.js';
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
  GetStreamHeadsHandler,
  ReadMessagesHandler,
} from './app/agent.queries.js';
import { FindArtifactFileHandler, ListArtifactsHandler } from './app/artifact.queries.js';
import { ArtifactCollector } from './app/artifact-collector.js';
import { AttemptSupervisor } from './app/attempt-supervisor.js';
import { AttemptTools } from './app/attempt-tools.js';
import { DeleteAgentTypeHandler } from './app/delete-agent-type.js';
import { DeletedTasks } from './app/deleted-tasks.js';
import { InstanceJournal } from './app/instance-journal.js';
import { GetInstanceHandler, ListInstancesHandler, ListTaskInstancesHandler } from './app/instance.queries.js';
import { LaunchAgentHandler } from './app/launch-agent.js';
import { AGENT_USER, LaunchSpecs } from './app/launch-spec.js';
import { ListLogsHandler } from './app/log.queries.js';
import { MessageLog } from './app/message-log.js';
import { OrphanSweeper } from './app/orphan-sweeper.js';
import { PostMessagesHandler } from './app/post-messages.js';
import { ReleaseAgentHandler, StopAgentHandler, StopInstanceHandler } from './app/stop-agent.js';
import { AgentFiles } from './domain/agent-files.js';
import { AgentInstance } from './domain/agent-instance.entity.js';
import { AgentTypeVersion } from './domain/agent-type-version.entity.js';
import { AgentType } from './domain/agent-type.entity.js';
import { Artifact } from './domain/artifact.entity.js';
import { ContainerRuntimes } from './domain/container-runtime.js';
import { AcpMessageRow, TaskStream } from './domain/message.entity.js';
import { RunDirectories } from './domain/run-directory.js';
import { Workspaces } from './domain/workspaces.js';
import { agentUser } from './infra/agent-user.js';
import { dockerClient } from './infra/docker/docker-client.js';
import { DOCKER, DockerRuntime } from './infra/docker/docker-runtime.js';
import { HostRunDirectories } from './infra/files/host-run-directories.js';
import { SafeFiles } from './infra/files/safe-files.js';
import { GitWorkspaces } from './infra/git/git-workspaces.js';
import { ProcessRuntime } from './infra/process/process-runtime.js';
import { InstalledRuntimes } from './infra/runtimes.js';

export const agentEntities = [AgentType, AgentInstance, AcpMessageRow, TaskStream, Artifact, AgentTypeVersion];

/** Agents: their types, instances, containers, workspaces and output. */
@Module({
  controllers: [
    AgentTypesController,
    AgentTypeVersionsController,
    AgentsController,
    AgentMessagesController,
    OutputController,
  ],
  providers: [
    { provide: DOCKER, useFactory: dockerClient, inject: [CONFIG] },
    { provide: AGENT_USER, useFactory: agentUser, inject: [CONFIG] },
    { provide: AgentFiles, useClass: SafeFiles },
    { provide: RunDirectories, useClass: HostRunDirectories },
    { provide: Workspaces, useClass: GitWorkspaces },
    { provide: ContainerRuntimes, useClass: InstalledRuntimes },
    ...[DockerRuntime, ProcessRuntime],
    ...[
      MessageLog,
      InstanceJournal,
      ArtifactCollector,
      LaunchSpecs,
      AttemptTools,
      AttemptSupervisor,
      OrphanSweeper,
      DeletedTasks,
    ],
    ...[LaunchAgentHandler, StopAgentHandler, StopInstanceHandler, ReleaseAgentHandler],
    ...[FindAttemptAgentHandler, FindLatestAgentHandler, GetProgressHandler, GetStartableAgentTypeHandler],
    ...[ReadMessagesHandler, GetStreamHeadsHandler, ListLogsHandler, ListArtifactsHandler, FindArtifactFileHandler],
    ...[AgentTypeRules, CreateAgentTypeHandler, UpdateAgentTypeHandler, DeleteAgentTypeHandler],
    ...[ListAgentTypesHandler, GetAgentTypeHandler, ListAgentTypeVersionsHandler, GetAgentTypeVersionHandler],
    ...[GetInstanceHandler, ListInstancesHandler, ListTaskInstancesHandler],
    ...[NdjsonBodies, PostMessagesHandler, ResolveAgentHandler, GetAgentTaskHandler],
  ],
})
export class AgentModule {}
