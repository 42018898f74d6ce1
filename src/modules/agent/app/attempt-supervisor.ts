import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { isDatabaseAway } from '../../../common/persistence/database-errors.js';
import { isShortage } from '../../../common/ops/shortage.js';
import { Workers, type Worker } from '../../../common/ops/workers.js';
import type { AttemptTask } from '../contracts/agent.commands.js';
import type { AgentInstance } from '../domain/agent-instance.entity.js';
import type { AttemptCaps } from '../contracts/usage.queries.js';
import { AttemptFailure } from '../domain/outcome.js';
import { Fenced } from './agent-rows.js';
import { AttemptTools } from './attempt-tools.js';
import { Attempt } from './attempt.js';
import type { Claim } from './instance-lock.js';

const MAX_FAILURES = 6; // in a row, of a kind nobody foresaw
const CALM_MS = 60_000; // what comes after so long a time of going well is the first of its kind again
const MAX_PAUSE_MS = 5_000;
/** For what lies unread at the end; an agent that writes faster than we store is never caught up with. */
const CATCH_UP_MS = 2_000;

interface Supervised {
  claim: Claim;
  attempt: Attempt;
  letGo: AbortController;
  done: Promise<void>;
}

/** Keeps each attempt of this server going until it has ended, is taken over, or the server stops. */
@Injectable()
export class AttemptSupervisor implements OnModuleInit, Worker {
  readonly name = 'attempt-supervisor';
  readonly roles = ['runner'] as const;
  private readonly logger = new Logger(AttemptSupervisor.name);
  private readonly byRun = new Map<string, Supervised>();
  private stopping = false;

  constructor(
    private readonly tools: AttemptTools,
    private readonly workers: Workers,
  ) {}

  onModuleInit(): void {
    this.workers.add(this);
  }

  start(): void {
    // attempts come by command
  }

  /** What agents have written so far is stored, and told to whoever follows, before connections end. */
  async drain(): Promise<void> {
    const caughtUp = Promise.all([...this.byRun.values()].map(({ attempt }) => attempt.caughtUp()));
    await Promise.race([caughtUp, sleep(CATCH_UP_MS, undefined, { ref: false })]);
  }

  /** Lets go of every attempt; the agents live on. */
  async stop(): Promise<void> {
    this.stopping = true;
    const all = [...this.byRun.values()];
    for (const { letGo } of all) letGo.abort();
    await Promise.all(all.map(({ done }) => done));
  }

  /**
   * Looks after the attempt from now on, under this claim. One that is looked after already stays as it is. `isNew`: its
   * row was made a moment ago, and nothing else.
   */
  supervise(instance: AgentInstance, task: AttemptTask, isNew = false): void {
    const { id: agent_id, epoch, run_id } = instance;
    const known = this.byRun.get(run_id);
    if (this.stopping || (known && known.claim.epoch >= epoch && known.claim.agent_id === agent_id)) return;
    known?.letGo.abort();
    const claim = { agent_id, epoch };
    const attempt = new Attempt(claim, task, { instance, isNew }, this.tools);
    const letGo = new AbortController();
    const before = known?.done ?? Promise.resolve();
    const done = before
      .then(() => this.lookAfter(attempt, claim, letGo.signal))
      .finally(() => {
        if (this.byRun.get(run_id)?.letGo === letGo) this.byRun.delete(run_id);
      });
    this.byRun.set(run_id, { claim, attempt, letGo, done });
  }

  /** Ends the agent if this server looks after it; the wish is in its row already. */
  stopAgent(agentId: string, force: boolean): void {
    const supervised = [...this.byRun.values()].find(({ claim }) => claim.agent_id === agentId);
    supervised?.attempt.stop(force).catch((error: unknown) => {
      this.logger.error({ err: error, agent_id: agentId }, 'an agent could not be stopped');
    });
  }

  /** Holds the agent still or lets it go on, if this server looks after it. @throws whatever the engine says */
  async holdAgent(agentId: string, held: boolean): Promise<void> {
    const supervised = [...this.byRun.values()].find(({ claim }) => claim.agent_id === agentId);
    await supervised?.attempt.hold(held);
  }

  /** Holds agents still, all but those of these runs; says whose it has stopped. One that can't be held keeps no other. */
  async freeze(spared: ReadonlySet<string>): Promise<string[]> {
    const all = [...this.byRun].filter(([run_id]) => !spared.has(run_id));
    const frozen = await Promise.all(
      all.map(async ([run_id, { attempt, claim }]) => {
        const isFrozen = await attempt.freeze().catch((error: unknown) => {
          this.logger.error({ err: error, agent_id: claim.agent_id }, 'an agent could not be held still; again soon');
        });
        return isFrozen ? [run_id] : [];
      }),
    );
    return frozen.flat();
  }

  /** What the run of the agent may still use, if this server looks after it. */
  limitAgent(agentId: string, caps: AttemptCaps | null): void {
    [...this.byRun.values()].find(({ claim }) => claim.agent_id === agentId)?.attempt.limit(caps);
  }

  /** The agents that this server looks after, each with its run. */
  attempts(): { agent_id: string; run_id: string }[] {
    return [...this.byRun].map(([run_id, { claim }]) => ({ agent_id: claim.agent_id, run_id }));
  }

  /** Agents that this server looks after. */
  supervised(): string[] {
    return [...this.byRun.values()].map(({ claim }) => claim.agent_id);
  }

  /** Lets go of the run's attempt; says whether it was looked after here. */
  release(runId: string): boolean {
    const supervised = this.byRun.get(runId);
    supervised?.letGo.abort();
    return supervised !== undefined;
  }

  isSupervised(agentId: string): boolean {
    return [...this.byRun.values()].some(({ claim }) => claim.agent_id === agentId);
  }

  private async keepGoing(attempt: Attempt, claim: Claim, signal: AbortSignal): Promise<void> {
    for (let tries = 0, failures = 0; !signal.aborted; tries++) {
      const begun = Date.now();
      try {
        await attempt.run(signal);
        return;
      } catch (error) {
        if (signal.aborted || error instanceof Fenced) return;
        this.logger.error(
          { err: error, agent_id: claim.agent_id, tries },
          'an attempt was interrupted; going on with it',
        );
        if (Date.now() - begun > CALM_MS) tries = failures = 0;
        if (!isPassing(error) && ++failures >= MAX_FAILURES) await this.giveUp(attempt, claim);
        await sleep(Math.min(200 * 2 ** tries, MAX_PAUSE_MS), undefined, { signal }).catch(() => undefined);
      }
    }
  }

  private async lookAfter(attempt: Attempt, claim: Claim, signal: AbortSignal): Promise<void> {
    await this.keepGoing(attempt, claim, signal);
    await attempt.letGo().catch((error: unknown) => {
      this.logger.warn({ err: error, agent_id: claim.agent_id }, 'an attempt could not be let go of');
    });
  }

  private async giveUp(attempt: Attempt, claim: Claim): Promise<void> {
    const failure = new AttemptFailure(
      'server.error',
      'The server could not go on with this attempt; its log tells why.',
    );
    await attempt.giveUp(failure).catch((error: unknown) => {
      this.logger.error({ err: error, agent_id: claim.agent_id }, 'an attempt could not be ended');
    });
  }
}

/** A database or an engine that is away comes back, as do file descriptors: until then the attempt waits, however long. */
function isPassing(error: unknown): boolean {
  return (
    isDatabaseAway(error) ||
    isShortage(error) ||
    (error instanceof AttemptFailure && error.code === 'engine.unavailable')
  );
}
