import { Inject, Injectable } from '@nestjs/common';
import { v7 as uuidv7 } from 'uuid';
import type { AgentUser, ContainerRuntime, LaunchSpec, ProgressReport } from '../../domain/container-runtime.js';
import { ContainerRuntimes } from '../../domain/container-runtime.js';
import type { ImageFacts } from '../../domain/image-facts.js';
import { AttemptFailure } from '../../domain/outcome.js';
import { RunDirectories } from '../../domain/run-directory.js';
import { TaskDisks } from '../../domain/task-disks.js';
import { AGENT_USER } from '../launch-spec.js';
import { checkRows } from './check-rows.js';
import type { CheckEvidence, CheckRow, CheckTarget, TrialRun } from './image-check.types.js';
import { Trial } from './trial.js';

const STOP_SECONDS = 30;
/** An agent that waits for its client never ends by itself; by then it has started. */
const PATIENCE_WITH_SERVANTS_SECONDS = 5;
const PROTOCOL_LABEL = 'io.kandev.agent.protocol';

/**
 * Runs an image against the container contract: once to its end, once to see whether it can be stopped. Both in
 * containers that are confined as every agent's is, without a network and with an empty workspace.
 */
@Injectable()
export class ImageCheck {
  /** Agents of checks under way: they have no row, and the sweeper asks. */
  private readonly live = new Set<string>();

  constructor(
    private readonly runtimes: ContainerRuntimes,
    private readonly runDirectories: RunDirectories,
    private readonly disks: TaskDisks,
    @Inject(AGENT_USER) private readonly user: AgentUser,
  ) {}

  /** Whether a container or directory of this id belongs to a check under way. */
  isLive(id: string): boolean {
    return this.live.has(id);
  }

  /** The table of what holds. @throws AttemptFailure `engine.unavailable`; the signal's reason */
  async check(target: CheckTarget, report: ProgressReport, signal: AbortSignal): Promise<CheckRow[]> {
    const runtime = this.runtimes.get('docker');
    const evidence: CheckEvidence = {
      ...{ target, image: null, image_error: null, image_digest: null, whole: null, stopped: null },
    };
    try {
      const { image_id, image_digest } = await runtime.prepareImage(target.image_name, report, signal);
      evidence.image = image_id === null ? null : await runtime.describeImage(image_id);
      evidence.image_digest = image_digest;
      if (!evidence.image || image_id === null) return checkRows(evidence);
      evidence.target = toRun(target, evidence.image);
      report('running it to its end');
      evidence.whole = await this.trial(runtime, evidence.target, image_id, false, signal);
      report('running it again, to stop it');
      if (evidence.whole.begun) evidence.stopped = await this.trial(runtime, evidence.target, image_id, true, signal);
    } catch (error) {
      if (!(error instanceof AttemptFailure) || error.code === 'engine.unavailable') throw error;
      evidence.image_error = error.message;
    }
    return checkRows(evidence);
  }

  private async trial(
    runtime: ContainerRuntime,
    target: CheckTarget,
    image_id: string,
    stop: boolean,
    signal: AbortSignal,
  ): Promise<TrialRun> {
    const agent_id = uuidv7();
    const task_id = uuidv7();
    for (const id of [agent_id, task_id]) this.live.add(id);
    try {
      const { disk } = await this.disks.prepare(task_id, agent_id, null, this.user);
      const spec: LaunchSpec = {
        ...{ agent_id, run_id: uuidv7(), task_id, image_name: target.image_name, image_id },
        command: target.command,
        environment: this.environment(agent_id, task_id, target),
        ...{ limits: target.limits, max_file_bytes: null },
        ...{ workspace_directory: disk.workspace, home_directory: disk.home, tmp_directory: disk.tmp },
        run_directory: this.runDirectories.path(agent_id),
        ...{ network: 'none', gateway_directory: null, credentials: [], user: this.user },
      };
      const tools = { runtime, runDirectories: this.runDirectories, user: this.user };
      return await new Trial(spec, tools).run(stop ? STOP_SECONDS : target.patience_seconds, stop, signal);
    } finally {
      await this.runDirectories.remove(agent_id);
      await this.disks.release(task_id, agent_id);
      await this.disks.remove(task_id);
      for (const id of [agent_id, task_id]) this.live.delete(id);
    }
  }

  private environment(agentId: string, taskId: string, target: CheckTarget): Record<string, string> {
    return {
      ...{ KANDEV_TASK_ID: taskId, KANDEV_AGENT_ID: agentId, KANDEV_RUN_ID: agentId },
      ...{ KANDEV_TASK_TITLE: 'A trial', KANDEV_TASK_DESCRIPTION: 'See whether this image keeps the contract.' },
      ...{ KANDEV_REPOSITORY_URL: '', KANDEV_BRANCH: '', KANDEV_RUN_DIR: '/run/kandev' },
      KANDEV_ARTIFACTS_DIR: '/run/kandev/artifacts',
      ...target.environment,
    };
  }
}

function toRun(target: CheckTarget, { labels }: ImageFacts): CheckTarget {
  const { protocol, patience_seconds } = target;
  if ((protocol ?? labels[PROTOCOL_LABEL]) !== 'agent-client-protocol') return target;
  const enough = Math.min(patience_seconds, PATIENCE_WITH_SERVANTS_SECONDS);
  return { ...target, protocol: 'agent-client-protocol', patience_seconds: enough };
}
