import { Injectable } from '@nestjs/common';
import { sql } from 'kysely';
import { AuditLog } from '../../../common/audit/audit-log.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { AgentStartedEvent } from '../contracts/agent.events.js';
import type { AgentInstance } from '../domain/agent-instance.entity.js';
import type { PreparedImage } from '../domain/container-runtime.js';
import type { Granted } from '../domain/credentials.js';
import type { SandboxReport } from '../domain/sandbox.js';
import { type AgentDB, Fenced } from './agent-rows.js';
import { messageBatch } from './append-statement.js';
import { InstanceJournal } from './instance-journal.js';
import type { Claim } from './instance-lock.js';
import { grantEntries, knownCaveats, launching, running } from './journal-messages.js';
import { MessageLog, type MessageOrigin } from './message-log.js';
import { Redactors } from './redactors.js';

type GivenNames = Pick<Granted, 'granted' | 'missing'>;

/**
 * What an attempt's row says of its way to the first instruction, written by who launches it and so knows what is in
 * it: in one statement each where that will do. Where that finds another row than it should (a launch goes on after a
 * restart, the claim is another's), {@link InstanceJournal} looks. The instance in hand is changed as its row is.
 */
@Injectable()
export class LaunchJournal {
  constructor(
    private readonly transactions: Transactions,
    private readonly log: MessageLog,
    private readonly audit: AuditLog,
    private readonly redactors: Redactors,
    private readonly journal: InstanceJournal,
  ) {}

  /** What the image's name was resolved to: in the row before a container is made from it. @throws Fenced */
  async resolved(claim: Claim, instance: AgentInstance, image: PreparedImage): Promise<void> {
    const clean = (await this.redactors.of(claim.agent_id)).value(image);
    const statement = this.row(claim)
      .set({ ...clean, updated_at: new Date() })
      .returning('id')
      .compile();
    if ((await this.transactions.prepared(statement)).length === 0) throw new Fenced();
    Object.assign(instance, image);
  }

  /** The container or process is made, with these credentials; see {@link InstanceJournal.created}. @throws Fenced */
  async created(
    claim: Claim,
    instance: AgentInstance,
    found: { container_id: string; container_name: string },
    given: GivenNames,
  ): Promise<void> {
    const first = this.starting(claim)
      .set({ ...found, updated_at: new Date() })
      .where('container_id', 'is', null)
      .returning('id');
    const message = (await this.redactors.of(claim.agent_id)).message(launching(given.missing));
    const origin = originOf(instance);
    let isWritten: boolean;
    if (given.granted.length === 0) {
      const stored = await this.log.appendFenced(this.transactions, first, origin, messageBatch([message]));
      stored?.tell();
      isWritten = stored !== null;
    } else {
      isWritten = await this.transactions.run(async (tx) => {
        if (!(await this.log.appendWith(tx, first, origin, [message]))) return false;
        for (const entry of grantEntries(instance, given)) await this.audit.record(entry, tx);
        return true;
      });
    }
    if (!isWritten) await this.journal.created(claim, found, given);
    Object.assign(instance, found);
  }

  /** It is as it has to be (null: nobody can tell), and is let through now. @throws Fenced */
  async started(
    claim: Claim,
    instance: AgentInstance,
    report: SandboxReport | null,
    { missing }: GivenNames,
  ): Promise<void> {
    const redactor = await this.redactors.of(claim.agent_id);
    const sandbox = report && redactor.value(report);
    const now = new Date();
    Object.assign(instance, { sandbox });
    const fence = this.starting(claim)
      .set({
        ...{ status: 'RUNNING' as const, started_at: sql<Date>`coalesce(started_at, ${now})`, updated_at: now },
        ...(sandbox && { sandbox: sql<SandboxReport>`${JSON.stringify(sandbox)}::jsonb` }),
      })
      .returning('id');
    const message = redactor.message(running(knownCaveats(instance, missing)));
    const isWritten = await this.transactions.run(async (tx) => {
      if (!(await this.log.appendWith(tx, fence, originOf(instance), [message]))) return false;
      const { id, task_id, run_id } = instance;
      await tx.emitAll([new AgentStartedEvent(id, 1, { task_id, run_id, status: 'RUNNING' })]);
      return true;
    });
    if (!isWritten) {
      if (sandbox) await this.journal.record(claim, { sandbox });
      await this.journal.started(claim);
    }
    instance.apply('started', now);
  }

  /** The row as long as it is being launched; none where no message could be stored with it. */
  private starting(claim: Claim) {
    return this.row(claim)
      .where('status', '=', 'STARTING')
      .where((is) => is.exists(is.selectFrom('message_segments').where('closed_at', 'is', null)));
  }

  private row({ agent_id, epoch }: Claim) {
    return this.transactions
      .kysely<AgentDB & { message_segments: { closed_at: Date | null } }>()
      .updateTable('agent_instances')
      .where('id', '=', agent_id)
      .where('epoch', '=', epoch);
  }
}

function originOf({ id, task_id, run_id }: AgentInstance): MessageOrigin {
  return { task_id, run_id, agent_id: id };
}
