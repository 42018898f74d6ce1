import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import type { AgentInstance } from '../domain/agent-instance.entity.js';
import { LIVE_AGENT_STATUSES } from '../domain/agent-state.js';
import { ContainerRuntimes, type ContainerRuntime } from '../domain/container-runtime.js';
import type { Outcome } from '../domain/outcome.js';
import type { AgentDB } from './agent-rows.js';
import { InstanceJournal } from './instance-journal.js';

/** How long a stop by force waits for an engine. A kill takes milliseconds; an engine that is restarted takes seconds. */
export const FORCE_LIMIT_MS = 30_000;
/** For a look at a container, which takes milliseconds. */
const LOOK_MS = 5_000;

const UNREACHABLE: Outcome = {
  ...{ trigger: 'vanished', exit_code: null, failure_code: 'agent.unreachable' },
  message:
    'It was to be stopped by force, and the container engine did not answer: nobody knows whether it still works. It is removed as soon as the engine answers, and nothing begins in its workspace before that.',
};

/**
 * Agents that nobody can reach. A stop by force ends the attempt of one whose engine does not answer, so that its run
 * holds no place for ever; what there is of it stays ours to remove, and until then its row says that it is there.
 */
@Injectable()
export class LeftAgents {
  private readonly logger = new Logger(LeftAgents.name);
  /** Since when each was to be stopped by force, in this process's milliseconds, and whether it is being looked at. */
  private readonly forced = new Map<string, { since: number; isLooking: boolean }>();

  constructor(
    private readonly transactions: Transactions,
    private readonly runtimes: ContainerRuntimes,
    private readonly journal: InstanceJournal,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * The agent was asked once more to end at once. When the engine has not let it for {@link FORCE_LIMIT_MS}, and can't
   * say how it is either, its attempt ends; true then. Whoever looks after it lets go of it. @throws Fenced
   */
  async giveUp({ id, epoch, runtime }: AgentInstance, limitMs = FORCE_LIMIT_MS): Promise<boolean> {
    const now = performance.now();
    const known = this.forced.get(id) ?? { since: now, isLooking: false };
    this.forced.set(id, known);
    if (known.isLooking || now - known.since < limitMs) return false;
    known.isLooking = true;
    try {
      if (await this.answers(this.runtimes.get(runtime), id)) return false;
      const claim = { agent_id: id, epoch };
      // The mark first: a kill in between leaves it with one that is live, where it means nothing.
      await this.rows().set({ left_behind: true }).where('id', '=', id).where('epoch', '=', epoch).execute();
      await this.journal.ended(claim, UNREACHABLE, []);
      this.logger.warn(
        { agent_id: id },
        'an agent that was to be stopped by force is given up: its engine does not answer',
      );
      this.forced.delete(id);
      return true;
    } finally {
      known.isLooking = false;
    }
  }

  /** It has ended, or is another's. */
  forget(agentId: string): void {
    this.forced.delete(agentId);
  }

  /** Removes what there is of them on this host; what can't be removed now stays marked. */
  async clear(attempt: (id: string, remove: () => Promise<void>) => Promise<void>): Promise<void> {
    const left = await this.transactions
      .kysely<AgentDB>()
      .selectFrom('agent_instances')
      .select(['id', 'runtime'])
      .where('left_behind', '=', true)
      .where('host_id', '=', this.config.host_id)
      .where('status', 'not in', LIVE_AGENT_STATUSES)
      .execute();
    // One that hangs is asked once for all of them; a process is there or not, whether others may be started or not.
    const isAway = left.some(({ runtime }) => runtime === 'docker') && !(await this.runtimes.get('docker').available());
    for (const { id, runtime } of left) {
      if (runtime === 'docker' && isAway) continue;
      const kind = this.runtimes.get(runtime);
      await attempt(id, async () => {
        await kind.remove(id);
        await this.gone(id, kind);
      });
    }
  }

  /** A removal that is under way has not ended yet: only what is not there any more lets others into the workspace. */
  private async gone(id: string, kind: ContainerRuntime): Promise<void> {
    if ((await kind.inspect(id)).state !== 'absent') return;
    await this.rows().set({ left_behind: false }).where('id', '=', id).execute();
    this.logger.log({ agent_id: id }, 'an agent that was left behind is gone');
  }

  private async answers(kind: ContainerRuntime, id: string): Promise<boolean> {
    const look = kind.inspect(id).then(
      () => true,
      () => false,
    );
    return Promise.race([look, sleep(LOOK_MS, false, { ref: false })]);
  }

  private rows() {
    return this.transactions.kysely<AgentDB>().updateTable('agent_instances');
  }
}
