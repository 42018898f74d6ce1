import { Query } from '../../../common/bus/contracts.js';
import type { AttemptCaps } from '../../agent/contracts/usage.queries.js';

/** What an attempt may use, by the budgets that hold for its run; null where none does. No access check. */
export class GetAttemptCapsQuery extends Query<AttemptCaps | null> {
  constructor(
    readonly agent_id: string,
    readonly run_id: string,
  ) {
    super();
  }
}
