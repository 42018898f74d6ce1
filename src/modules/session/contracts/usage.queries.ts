import { Query } from '../../../common/bus/contracts.js';
import type { UsageFilter } from '../../agent/contracts/usage.queries.js';

/** What the agent has told of one prompt turn; 0 where it has told nothing. */
export interface UsageOfTurn {
  /** The prompt. */
  subject: string;
  board_id: string;
  task_id: string;
  tokens_in: number;
  tokens_out: number;
  cost_usd: number;
}

/** What turns have used whose prompts were sent on these days, the most costly first. No access check. */
export class ListTurnUsageQuery extends Query<UsageOfTurn[]> {
  constructor(
    readonly of: UsageFilter,
    readonly limit: number,
  ) {
    super();
  }
}
