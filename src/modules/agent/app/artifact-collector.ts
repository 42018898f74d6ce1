import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { LockMode } from '@mikro-orm/core';
import { sql } from 'kysely';
import type { MessageDraft } from '../../../common/acp/acp-message.js';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import { LEFT_OUT } from '../domain/agent-files.js';
import { AgentInstance } from '../domain/agent-instance.entity.js';
import { Artifact } from '../domain/artifact.entity.js';
import { ArtifactGatherer, type LeftOut } from './artifact-gatherer.js';
import { artifactFolder, removeOldVersions } from './artifact-paths.js';
import { type AgentDB, Fenced } from './agent-rows.js';
import { MessageLog, type StreamDB } from './message-log.js';
import { segmentsOf } from './message-segments.js';

/** An agent that tells of results all the time is not copied all the time: so long from one collection to the next … */
const MIN_REST_MS = 1_000;
/** … and so many times what the last one took. */
const REST = 10;
const MAX_TOLD = 20;
/** Of an agent that has ended, and between two tries to write down its end: the server's own, and few. */
const FURTHER_MESSAGES = 50;

/** A collection that goes on, and what is wanted of it. */
interface Running {
  again: boolean;
  readonly last: AbortController;
  done: Promise<void>;
}

/** Keeps what an agent has produced: at its end, and before that when it tells of a result. */
@Injectable()
export class ArtifactCollector {
  private readonly logger = new Logger(ArtifactCollector.name);
  private readonly running = new Map<string, Running>();

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly transactions: Transactions,
    private readonly log: MessageLog,
    private readonly gatherer: ArtifactGatherer,
  ) {}

  /** A result was stored: whether that is seen to by what is under way for the agent already. */
  isTold(agentId: string): boolean {
    const running = this.running.get(agentId);
    if (running) running.again = true;
    return running !== undefined;
  }

  /**
   * A result was stored: what is there now is collected in the background, once for results that come meanwhile. What
   * goes wrong is tried again at the end.
   */
  resultArrived(instance: AgentInstance): void {
    if (this.isTold(instance.id)) return;
    const begun: Running = { again: true, last: new AbortController(), done: Promise.resolve() };
    this.running.set(instance.id, begun);
    begun.done = this.collectWhileAsked(instance, begun).finally(() => this.running.delete(instance.id));
  }

  /**
   * The agent has ended: collects all of it, tells what was left out, and returns the rows, not yet stored. Called
   * again: the same.
   * @throws Fenced
   */
  async collect(instance: AgentInstance): Promise<Artifact[]> {
    const running = this.running.get(instance.id);
    running?.last.abort();
    await running?.done;
    const { artifacts, left_out } = await this.gatherer.gather(instance);
    if (left_out.length > 0) await this.transactions.run((tx) => this.tell(tx, instance, left_out));
    return artifacts;
  }

  /** The rows are stored: removes the bytes that they have replaced. */
  async settle({ task_id }: AgentInstance): Promise<void> {
    const rows = await this.transactions
      .kysely<AgentDB>()
      .selectFrom('artifacts')
      .select(['id', 'sha256'])
      .where('task_id', '=', task_id)
      .execute();
    const current = new Map(rows.map(({ id, sha256 }) => [id, sha256]));
    await removeOldVersions(artifactFolder(this.config, task_id), current);
  }

  private async collectWhileAsked(instance: AgentInstance, running: Running): Promise<void> {
    try {
      while (running.again && !running.last.signal.aborted) {
        running.again = false;
        const begun = performance.now();
        await this.collectNow(instance);
        const rest = Math.max(MIN_REST_MS, (performance.now() - begun) * REST);
        await sleep(rest, undefined, { signal: running.last.signal, ref: false });
      }
    } catch (error) {
      if (running.last.signal.aborted || error instanceof Fenced) return;
      this.logger.warn({ err: error, agent_id: instance.id }, 'artifacts could not be collected; again at the end');
    }
  }

  private async collectNow(instance: AgentInstance): Promise<void> {
    const { artifacts } = await this.gatherer.gather(instance);
    await this.transactions.run(async (tx) => {
      if (!(await lock(tx, instance)).isLive()) return;
      for (const artifact of artifacts) await tx.em.upsert(Artifact, artifact, { onConflictFields: ['id'] });
    });
    await this.settle(instance);
  }

  /** Once for each attempt, however often it is collected. */
  private async tell(tx: Tx, instance: AgentInstance, left_out: readonly LeftOut[]): Promise<void> {
    const { id: agent_id, task_id, run_id } = await lock(tx, instance);
    const draft = leftOutMessage(left_out);
    const segments = await segmentsOf(tx.kysely<StreamDB>(), task_id);
    const latest = tx
      .kysely<StreamDB>()
      .selectFrom('acp_messages')
      .select('data')
      .where(sql<boolean>`segment = any(${segments}::int[])`)
      .where('agent_id', '=', agent_id)
      .orderBy('seq', 'desc')
      .limit(FURTHER_MESSAGES);
    const told = await tx
      .kysely<StreamDB>()
      .selectFrom(latest.as('latest'))
      .select('data')
      .where(sql<string>`data ->> 'message'`, '=', String(draft.data['message']))
      .executeTakeFirst();
    if (!told) await this.log.append(tx, { agent_id, task_id, run_id }, [draft]);
  }
}

/** @throws Fenced when another server has taken the attempt over */
async function lock(tx: Tx, { id, epoch }: AgentInstance): Promise<AgentInstance> {
  const instance = await tx.em.findOne(AgentInstance, { id, epoch }, { lockMode: LockMode.PESSIMISTIC_WRITE });
  if (!instance) throw new Fenced();
  return instance;
}

function leftOutMessage(left_out: readonly LeftOut[]): MessageDraft {
  const named = left_out.slice(0, MAX_TOLD).map(({ path, reason }) => `${path.slice(0, 255)} (${LEFT_OUT[reason]})`);
  const rest = left_out.length > MAX_TOLD ? [`and ${left_out.length - MAX_TOLD} more`] : [];
  const message = `Not kept as artifacts: ${[...named, ...rest].join(', ')}.`;
  const metadata = { source: 'artifacts', left_out: left_out.length };
  return {
    type: 'log',
    timestamp: new Date().toISOString(),
    level: 'warn',
    data: { level: 'warn', message, metadata },
  };
}
