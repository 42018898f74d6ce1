import { defineEntity, p } from '@mikro-orm/postgresql';
import type { WipState } from '../contracts/task.types.js';

export const BoardWipLimitSchema = defineEntity({
  name: 'BoardWipLimit',
  tableName: 'board_wip_limits',
  properties: {
    board_id: p.uuid().primary(),
    state: p.string().length(50).$type<WipState>().primary(),
    /** Tasks that may be there, the archived ones not counted; 0 closes the column. */
    max_tasks: p.integer(),
  },
  checks: [
    { name: 'board_wip_limits_state_check', expression: "state in ('TODO', 'IN_PROGRESS', 'BLOCKED')" },
    { name: 'board_wip_limits_max_tasks_check', expression: 'max_tasks >= 0' },
  ],
});

/** How many tasks of a board may be in one column at once; a column without a row takes any number. */
export class BoardWipLimit extends BoardWipLimitSchema.class {}
BoardWipLimitSchema.setClass(BoardWipLimit);
