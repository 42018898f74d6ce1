import { Query } from '../../../common/bus/contracts.js';
import type { RunState } from './run.types.js';

/** Those of the tasks that have a live run. No access check: for other modules' rules. */
export class FindTasksWithLiveRunQuery extends Query<string[]> {
  constructor(readonly filter: { task_id: string } | { board_id: string }) {
    super();
  }
}

/** A run of the task: the one of that id, else the last; null where there is none. No access check. */
export class FindRunQuery extends Query<{
  run_id: string;
  state: RunState;
  is_live: boolean;
  finished_at: Date | null;
} | null> {
  constructor(
    readonly task_id: string,
    readonly run_id: string | null,
  ) {
    super();
  }
}
