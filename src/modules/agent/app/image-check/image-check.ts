import { Inject, Injectable } from '@nestjs/common';
import { v7 as uuidv7 } from 'uuid';
import { TrialDialogues, type TrialPlan } from '../../contracts/trial-dialogues.js';
import type { AgentUser, ContainerRuntime, LaunchSpec, ProgressReport } from '../../domain/container-runtime.js';
import { ContainerRuntimes, WORKSPACE_TARGET } from '../../domain/container-runtime.js';
import type { ImageFacts } from '../../domain/image-facts.js';
import { AttemptFailure } from '../../domain/outcome.js';
import { Redactor } from '../../domain/redaction.js';
import { RunDirectories } from '../../domain/run-directory.js';
import { TaskDisks } from '../../domain/task-disks.js';
import { AGENT_USER } from '../launch-spec.js';
import { checkRows } from './check-rows.js';
import type { CheckEvidence, CheckTarget, ImageReport, TrialRun } from './image-check.types.js';
import { Trial } from './trial.js';
import { TrialTalk } from './trial-talk.js';

const STOP_SECONDS = 30;
/** Programs set up their signals while they start. */
const SILENT_SECONDS = 3;
/** Shorter values of variables, such as `true` and `1`, are no secrets, and stand in many texts. */
const MIN_SECRET = 8;
const PROTOCOL_LABEL = 'io.kandev.agent.protocol';

/**
 * Runs an image against the container contract: once to its end, once to see whether it can be stopped. Both in
 * containers that are confined as every agent's is, with an empty workspace. An agent that speaks the Agent Client Protocol
 * is talked to in both, the second time to load the session of the first.
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
    private readonly dialogues: TrialDialogues,
  ) {}

  /** Whether a container or directory of this id belongs to a check under way. */
  isLive(id: string): boolean {
    return this.live.has(id);
  }

  /**
   * What holds. Values of the environment are taken out of all that is said.
   * @throws AttemptFailure `engine.unavailable`; the signal's reason
   */
  async check(target: CheckTarget, report: ProgressReport, signal: AbortSignal): Promise<ImageReport> {
    const evidence: CheckEvidence = {
      ...{ target, image: null, image_error: null, image_digest: null, whole: null, stopped: null },
    };
    try {
      await this.collect(evidence, report, signal);
    } catch (error) {
      if (!(error instanceof AttemptFailure) || error.code === 'engine.unavailable') throw error;
      evidence.image_error = error.message;
    }
    const secrets = Object.values(target.environment).filter((value) => value.length >= MIN_SECRET);
    return Redactor.of(secrets).value({ checks: checkRows(evidence), session: evidence.whole?.session ?? null });
  }

  private async collect(evidence: CheckEvidence, report: ProgressReport, signal: AbortSignal): Promise<void> {
    const runtime = this.runtimes.get('docker');
    const { image_id, image_digest } = await runtime.prepareImage(evidence.target.image_name, report, signal);
    evidence.image = image_id === null ? null : await runtime.describeImage(image_id);
    evidence.image_digest = image_digest;
    if (!evidence.image || image_id === null) return;
    const target = toRun(evidence.target, evidence.image);
    evidence.target = target;
    const task_id = uuidv7();
    this.live.add(task_id);
    try {
      const of = { runtime, target, image_id, task_id, signal };
      report('running it to its end');
      evidence.whole = await this.trial(of, null);
      report('running it again, to stop it');
      if (evidence.whole.begun) evidence.stopped = await this.trial(of, evidence.whole);
    } finally {
      await this.disks.remove(task_id);
      this.live.delete(task_id);
    }
  }

  /** One run; with the one before it: again, to stop it. */
  private async trial(of: TrialOf, before: TrialRun | null): Promise<TrialRun> {
    const { runtime, target, image_id, task_id, signal } = of;
    const agent_id = uuidv7();
    this.live.add(agent_id);
    try {
      const { disk } = await this.disks.prepare(task_id, agent_id, null, this.user);
      const spec: LaunchSpec = {
        ...{ agent_id, run_id: uuidv7(), task_id, image_name: target.image_name, image_id },
        command: target.command,
        environment: this.environment(agent_id, task_id, target),
        ...{ limits: target.limits, max_file_bytes: null },
        ...{ workspace_directory: disk.workspace, home_directory: disk.home, tmp_directory: disk.tmp },
        run_directory: this.runDirectories.path(agent_id),
        ...{ network: target.network, gateway_directory: null, credentials: [], user: this.user },
      };
      const tools = { runtime, runDirectories: this.runDirectories, user: this.user };
      const talk =
        target.protocol === 'agent-client-protocol'
          ? new TrialTalk(this.dialogues.open(planOf(target, before)), agent_id, this.runDirectories)
          : null;
      return await new Trial(spec, tools, talk).run(secondsOf(target, before), before !== null, signal);
    } finally {
      await this.runDirectories.remove(agent_id);
      await this.disks.release(task_id, agent_id);
      this.live.delete(agent_id);
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

interface TrialOf {
  runtime: ContainerRuntime;
  target: CheckTarget;
  image_id: string;
  task_id: string;
  signal: AbortSignal;
}

/** All that is wanted in the first run; in the second one its session is loaded. */
function planOf({ session: { quirks, prompt, answer } }: CheckTarget, before: TrialRun | null): TrialPlan {
  const plan = { cwd: WORKSPACE_TARGET, quirks, answer };
  if (!before) return { ...plan, session: null, prompt, asks_unknown: true };
  const { session, capabilities } = before.session ?? {};
  const canLoad = session && (capabilities?.load || capabilities?.resume);
  const known = canLoad ? { session_id: session.session_id, created_at: session.opened_at } : null;
  return { ...plan, session: known, prompt: null, asks_unknown: false };
}

function secondsOf({ protocol, patience_seconds, session }: CheckTarget, before: TrialRun | null): number {
  if (!before) return patience_seconds;
  if (protocol !== 'agent-client-protocol') return STOP_SECONDS;
  // One that has not answered in the first run does not in the second.
  if (before.session?.initialize_ms == null) return SILENT_SECONDS;
  return patience_seconds + (session.quirks.load_min_age_seconds ?? 0);
}

function toRun(target: CheckTarget, { labels }: ImageFacts): CheckTarget {
  if ((target.protocol ?? labels[PROTOCOL_LABEL]) !== 'agent-client-protocol') return target;
  return { ...target, protocol: 'agent-client-protocol' };
}
