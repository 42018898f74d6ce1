import { Injectable } from '@nestjs/common';
import { LockMode } from '@mikro-orm/core';
import type { MessageDraft } from '../../../common/acp/acp-message.js';
import { AuditLog } from '../../../common/audit/audit-log.js';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import { AgentCompletedEvent, AgentFailedEvent, AgentStartedEvent } from '../contracts/agent.events.js';
import { AgentInstance } from '../domain/agent-instance.entity.js';
import { Artifact } from '../domain/artifact.entity.js';
import type { Granted } from '../domain/credentials.js';
import type { Outcome } from '../domain/outcome.js';
import type { ProgressDetails } from '../domain/container-runtime.js';
import { AgentMetrics } from './agent-metrics.js';
import { Fenced } from './agent-rows.js';
import { lockInstance, type Claim } from './instance-lock.js';
import {
  caveatsOf,
  grantEntries,
  launching,
  phaseMessage,
  preparing,
  running,
  warning,
  type Phase,
} from './journal-messages.js';
import { MessageLog, statusMessage } from './message-log.js';
import { Redactors } from './redactors.js';

/** What an attempt may write down at once. */
type Found = Pick<Partial<AgentInstance>, 'image_id' | 'image_digest' | 'sandbox' | 'failure_code' | 'error_message'>;

/**
 * Every change of an instance's row: fenced by the epoch, and in one transaction with the message that tells
 * watchers and the event that tells other modules.
 */
@Injectable()
export class InstanceJournal {
  constructor(
    private readonly transactions: Transactions,
    private readonly log: MessageLog,
    private readonly audit: AuditLog,
    private readonly metrics: AgentMetrics,
    private readonly redactors: Redactors,
  ) {}

  /** @throws Fenced */
  read(claim: Claim): Promise<AgentInstance> {
    return this.transactions.run((tx) => lockInstance(tx, claim));
  }

  /** What goes on within the present status: see {@link phaseMessage}. @throws Fenced */
  async tell(claim: Claim, phase: Phase, message: string, details: ProgressDetails = {}): Promise<void> {
    await this.transactions.run(async (tx) => {
      const instance = await lockInstance(tx, claim);
      await this.append(tx, instance, [phaseMessage(instance.status, phase, message, details)]);
    });
  }

  /** A warning of the server's own among what the agent says. @throws Fenced */
  async warn(claim: Claim, message: string): Promise<void> {
    await this.transactions.run(async (tx) => this.append(tx, await lockInstance(tx, claim), [warning(message)]));
  }

  /** What was found out, or is about to be done to the agent. @throws Fenced */
  async record(claim: Claim, found: Found): Promise<void> {
    const redactor = await this.redactors.of(claim.agent_id);
    const clean = redactor.value(found);
    await this.transactions.run(async (tx) => void Object.assign(await lockInstance(tx, claim), clean));
  }

  /**
   * The container or process is made, with these credentials. Again after a restart: the audit log hears of each
   * grant once an attempt. @throws Fenced
   */
  async created(
    claim: Claim,
    found: Pick<Partial<AgentInstance>, 'container_id' | 'container_name'>,
    given: Pick<Granted, 'granted' | 'missing'>,
  ): Promise<void> {
    await this.transactions.run(async (tx) => {
      const instance = await lockInstance(tx, claim);
      const isFirst = instance.container_id == null;
      Object.assign(instance, found);
      if (!isFirst) return;
      for (const entry of grantEntries(instance, given)) await this.audit.record(entry, tx);
      await this.append(tx, instance, [launching(given.missing)]);
    });
  }

  /** Preparation begins. Again after a restart: nothing. @throws Fenced */
  async preparing(claim: Claim): Promise<void> {
    await this.transactions.run(async (tx) => {
      const instance = await lockInstance(tx, claim);
      if (!instance.apply('prepare', new Date())) return;
      await this.append(tx, instance, [preparing()]);
    });
  }

  /** The container or process runs. @throws Fenced; also where the attempt has ended meanwhile */
  async started(claim: Claim): Promise<void> {
    await this.transactions.run(async (tx) => {
      const instance = await lockInstance(tx, claim);
      if (!instance.isLive()) throw new Fenced(); // nothing may begin for it
      if (!instance.apply('started', new Date())) return;
      const { id, task_id, run_id, status } = instance;
      await this.append(tx, instance, [running(await caveatsOf(tx, instance))]);
      tx.emit(new AgentStartedEvent(id, 1, { task_id, run_id, status }));
    });
  }

  /** A stop was asked for. Not fenced: whoever asks, asks the present owner. Null when there is no such instance. */
  async stopRequested(agentId: string, reason: string | null): Promise<AgentInstance | null> {
    return this.transactions.run(async (tx) => {
      const instance = await tx.em.findOne(AgentInstance, { id: agentId }, { lockMode: LockMode.PESSIMISTIC_WRITE });
      if (!instance?.isLive() || instance.stop_requested_at) return instance;
      instance.stop_requested_at = new Date();
      await this.append(tx, instance, [
        statusMessage(instance.status, 'stopping on request', { phase: 'monitoring', ...(reason ? { reason } : {}) }),
      ]);
      return instance;
    });
  }

  /** The end. Again after a restart: nothing. @throws Fenced */
  async ended(claim: Claim, end: Outcome, artifacts: readonly Artifact[]): Promise<void> {
    const redactor = await this.redactors.of(claim.agent_id);
    const outcome = { ...end, message: end.message === null ? null : redactor.text(end.message) };
    for (const artifact of artifacts) {
      artifact.name = redactor.text(artifact.name);
      artifact.path = redactor.text(artifact.path);
    }
    await this.transactions.run(async (tx) => {
      const instance = await lockInstance(tx, claim);
      if (!instance.end(outcome, new Date())) return;
      const { id, task_id, run_id, status, failure_code, exit_code } = instance;
      for (const artifact of artifacts) await tx.em.upsert(Artifact, artifact, { onConflictFields: ['id'] });
      const details = {
        phase: 'clean_up',
        exit_code,
        ...(failure_code ? { failure_code } : {}),
        artifacts: artifacts.length,
      };
      await this.append(tx, instance, [statusMessage(status, outcome.message ?? 'the agent has finished', details)]);
      if (status === 'COMPLETED') tx.emit(new AgentCompletedEvent(id, 2, { task_id, run_id, status }));
      else tx.emit(new AgentFailedEvent(id, 2, { task_id, run_id, status, failure_code: failure_code ?? null }));
      tx.afterCommit(() => this.metrics.ended(instance.agent_type, status, failure_code ?? null));
    });
  }

  /** Appends on behalf of an instance, without its secrets. */
  async append(tx: Tx, instance: AgentInstance, drafts: readonly MessageDraft[]): Promise<void> {
    const { task_id, run_id, id: agent_id } = instance;
    const redactor = await this.redactors.of(agent_id);
    await this.log.append(
      tx,
      { task_id, run_id, agent_id },
      drafts.map((draft) => redactor.message(draft)),
    );
  }
}
