import { Query } from '../../../common/bus/contracts.js';

/** Those of the tasks that have a live run. No access check: for other modules' rules. */
export class FindTasksWithLiveRunQuery extends Query<string[]> {
  constructor(readonly filter: { task_id: string } | { board_id: string }) {
    super();
  }
}
