import { Inject, Injectable } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { GetStartableAgentTypeQuery } from '../../agent/contracts/agent.queries.js';
import type { TaskView } from '../../task/contracts/task.types.js';
import { effectiveRetryPolicy, type EffectiveRetryPolicy } from '../domain/retry-policy.js';
import { QueueUpkeep } from './queue-upkeep.js';

/** What a new run is queued with. */
export interface Terms {
  agent_type: string;
  retry_policy: EffectiveRetryPolicy;
}

/** What holds for a new run: its agent type, and when its failed attempts are tried again. */
@Injectable()
export class RunTerms {
  constructor(
    private readonly queries: QueryBus,
    private readonly upkeep: QueueUpkeep,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * As task, agent type and settings say now; the agent type is the task's own unless another one is `asked` for. The
   * claim knows from then on what it takes of a host, also if it was made a moment ago.
   * @throws DomainError `run.no_agent_type`, and those of {@link GetStartableAgentTypeQuery}
   */
  async of(task: TaskView, asked: string | undefined): Promise<Terms> {
    const wanted = asked ?? task.agent_type;
    if (wanted === null) {
      throw new DomainError(
        'conflict',
        'run.no_agent_type',
        'The task has no agent type. Set one on the task, or name one in the request.',
      );
    }
    const type = await this.queries.execute(new GetStartableAgentTypeQuery(wanted));
    const retry_policy = effectiveRetryPolicy(task.retry_policy, type.retry_policy, this.config.orchestrator);
    await this.upkeep.copyNeedsOf([type.needs]);
    return { agent_type: type.name, retry_policy };
  }
}
