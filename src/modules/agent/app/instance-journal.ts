import { Injectable } from '@nestjs/common';
import { LockMode } from '@mikro-orm/core';
import type { MessageDraft } from '../../../common/acp/acp-message.js';
import { AuditLog } from '../../../common/audit/audit-log.js';
import { SYSTEM } from '../../../common/auth/actor.js';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import { AgentCompletedEvent, AgentFailedEvent, AgentStartedEvent } from '../contracts/agent.events.js';
import type { CredentialMount } from '../contracts/agent.types.js';
import { AgentInstance } from '../domain/agent-instance.entity.js';
import { Artifact } from '../domain/artifact.entity.js';
import type { Outcome } from '../domain/outcome.js';
import { type AgentDB, Fenced } from './agent-rows.js';
import { MessageLog, statusMessage } from './message-log.js';

/** Limits that were asked for and that nothing holds the agent to: people should not rely on them. */
function notEnforced({ runtime, resource_limits }: AgentInstance): Record<string, unknown> {
  const limits = runtime === 'process' ? ['cpu_limit', 'memory_limit', 'disk_limit'] : ['disk_limit'];
  const not_enforced = limits.filter((limit) => limit in (resource_limits ?? {}));
  return not_enforced.length > 0 ? { not_enforced } : {};
}

/** Credentials that were asked for and that nobody gives the agent: it has to do without. */
function notGranted(mounts: readonly CredentialMount[]): Record<string, unknown> {
  return mounts.length > 0 ? { mounts_not_granted: mounts } : {};
}

/** What the agent type asked for when the attempt began. */
async function mountsOf(tx: Tx, { agent_type, agent_type_version }: AgentInstance): Promise<CredentialMount[]> {
  const row = await tx
    .kysely<AgentDB>()
    .selectFrom('agent_type_versions as v')
    .innerJoin('agent_types as t', 't.id', 'v.agent_type_id')
    .select('v.definition')
    .where('t.name', '=', agent_type)
    .where('v.version', '=', agent_type_version ?? 0)
    .executeTakeFirst();
  return (row?.definition['mounts'] ?? []) as CredentialMount[];
}

/** Who writes: the attempt's agent, under the epoch of its claim. */
export interface Claim {
  agent_id: string;
  epoch: number;
}

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
  ) {}

  /** @throws Fenced */
  read(claim: Claim): Promise<AgentInstance> {
    return this.transactions.run((tx) => this.lock(tx, claim));
  }

  /** A `status` message of progress within the present status. @throws Fenced */
  async tell(claim: Claim, message: string, details: Record<string, unknown> = {}): Promise<void> {
    await this.transactions.run(async (tx) => {
      const instance = await this.lock(tx, claim);
      await this.append(tx, instance, [statusMessage(instance.status, message, details)]);
    });
  }

  /** What preparation has found out. @throws Fenced */
  async record(claim: Claim, found: Pick<Partial<AgentInstance>, 'image_id'>): Promise<void> {
    await this.transactions.run(async (tx) => void Object.assign(await this.lock(tx, claim), found));
  }

  /**
   * The container or process is made, with the host's `variables` (names) in its environment. Again after a restart:
   * the audit log hears of them once an attempt. @throws Fenced
   */
  async created(
    claim: Claim,
    found: Pick<Partial<AgentInstance>, 'container_id' | 'container_name'>,
    variables: readonly string[],
  ): Promise<void> {
    await this.transactions.run(async (tx) => {
      const instance = await this.lock(tx, claim);
      const isFirst = instance.container_id == null;
      Object.assign(instance, found);
      if (!isFirst || variables.length === 0) return;
      const { id, task_id, run_id, agent_type } = instance;
      const data = { kind: 'environment', variables, task_id, run_id, agent_type };
      await this.audit.record(
        { action: 'credential.granted', actor: SYSTEM, subject: { type: 'agent', id }, data },
        tx,
      );
    });
  }

  /** Preparation begins. Again after a restart: nothing. @throws Fenced */
  async preparing(claim: Claim): Promise<void> {
    await this.transactions.run(async (tx) => {
      const instance = await this.lock(tx, claim);
      if (!instance.apply('prepare', new Date())) return;
      await this.append(tx, instance, [statusMessage('STARTING', 'preparing the workspace')]);
    });
  }

  /** The container or process runs. @throws Fenced */
  async started(claim: Claim): Promise<void> {
    await this.transactions.run(async (tx) => {
      const instance = await this.lock(tx, claim);
      if (!instance.apply('started', new Date())) return;
      const { id, task_id, run_id, status } = instance;
      const caveats = { ...notEnforced(instance), ...notGranted(await mountsOf(tx, instance)) };
      await this.append(tx, instance, [statusMessage('RUNNING', 'the agent runs', caveats)]);
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
        statusMessage(instance.status, 'stopping on request', reason ? { reason } : {}),
      ]);
      return instance;
    });
  }

  /** The end. Again after a restart: nothing. @throws Fenced */
  async ended(claim: Claim, outcome: Outcome, artifacts: readonly Artifact[]): Promise<void> {
    await this.transactions.run(async (tx) => {
      const instance = await this.lock(tx, claim);
      if (!instance.end(outcome, new Date())) return;
      const { id, task_id, run_id, status, failure_code, exit_code } = instance;
      for (const artifact of artifacts) await tx.em.upsert(Artifact, artifact, { onConflictFields: ['id'] });
      const details = { exit_code, ...(failure_code ? { failure_code } : {}), artifacts: artifacts.length };
      await this.append(tx, instance, [statusMessage(status, outcome.message ?? 'the agent has finished', details)]);
      if (status === 'COMPLETED') tx.emit(new AgentCompletedEvent(id, 2, { task_id, run_id, status }));
      else tx.emit(new AgentFailedEvent(id, 2, { task_id, run_id, status, failure_code: failure_code ?? null }));
    });
  }

  /** Appends on behalf of an instance. */
  async append(tx: Tx, instance: AgentInstance, drafts: readonly MessageDraft[]): Promise<void> {
    await this.log.append(tx, { task_id: instance.task_id, run_id: instance.run_id, agent_id: instance.id }, drafts);
  }

  private async lock(tx: Tx, { agent_id, epoch }: Claim): Promise<AgentInstance> {
    const instance = await tx.em.findOne(
      AgentInstance,
      { id: agent_id, epoch },
      { lockMode: LockMode.PESSIMISTIC_WRITE },
    );
    if (!instance) throw new Fenced();
    return instance;
  }
}
