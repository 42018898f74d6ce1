import { Injectable, type OnModuleInit } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { BackgroundLoop } from '../../../common/ops/background-loop.js';
import { Workers, type Worker } from '../../../common/ops/workers.js';
import { LimitAgentsCommand, ListSupervisedAgentsQuery } from '../../agent/contracts/usage.queries.js';
import { BudgetBook, type RunSubjects } from './budget-book.js';

/** What others use of a shared budget in this time is what a run can be over it; two statements each time. */
const EVERY_MS = 2_000;

/**
 * Tells the agents of this process every few seconds what is left of the budgets that hold for them; each has heard of it
 * before its first output was read. With no agents nothing is read, without budgets that there are none.
 */
@Injectable()
export class BudgetKeeper implements OnModuleInit, Worker {
  readonly name = 'budget-keeper';
  readonly roles = ['runner'] as const;
  private readonly loop = new BackgroundLoop(BudgetKeeper.name, EVERY_MS, () => this.round());
  /** The runs of the agents that are looked after here. */
  private readonly known = new Map<string, RunSubjects>();

  constructor(
    private readonly book: BudgetBook,
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
    private readonly workers: Workers,
  ) {}

  onModuleInit(): void {
    this.workers.add(this);
  }

  start(): void {
    this.loop.start();
  }

  stop(): Promise<void> {
    return this.loop.stop();
  }

  private async round(): Promise<number> {
    const agents = await this.queries.execute(new ListSupervisedAgentsQuery());
    await this.learn(agents);
    if (this.known.size === 0) return EVERY_MS;
    const caps = await this.book.caps([...this.known].map(([agent_id, run]) => ({ agent_id, run })));
    await this.commands.execute(new LimitAgentsCommand([...this.known.keys()], caps));
    return EVERY_MS;
  }

  /** Which runs they are of is read once. */
  private async learn(agents: readonly { agent_id: string; run_id: string }[]): Promise<void> {
    const now = new Set(agents.map(({ agent_id }) => agent_id));
    for (const agent_id of this.known.keys()) if (!now.has(agent_id)) this.known.delete(agent_id);
    const fresh = agents.filter(({ agent_id }) => !this.known.has(agent_id));
    if (fresh.length === 0) return;
    const runs = await this.book.subjectsOf(fresh.map(({ run_id }) => run_id));
    for (const { agent_id, run_id } of fresh) {
      const run = runs.find(({ id }) => id === run_id);
      if (run) this.known.set(agent_id, run);
    }
  }
}
