import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { IsListOf, IsOneOf, IsText, IsUuidText } from '../../../common/validation/fields.decorator.js';
import { PageQuery } from '../../../common/validation/page.dto.js';
import { IsListOfWholeNumbers, IsTime } from '../../../common/validation/query-fields.decorator.js';
import { ARCHIVED, type Archived } from '../app/task-filter.js';
import { TASK_SORTS, type TaskSort } from '../app/task-order.js';
import { TASK_STATES, type TaskState } from '../contracts/task.types.js';
import { AGENT_TYPE } from './task-requests.dto.js';
import { TaskDto } from './task.dto.js';

/** Which tasks of a board, in which order, and which part of the list. */
export class ListTasksRequest extends PageQuery {
  /** In one of these states, separated by commas. */
  @MayBeAbsent()
  @IsListOf(TASK_STATES)
  @ApiProperty({ example: ['TODO', 'IN_PROGRESS'] })
  state?: TaskState[];

  /** Of one of these priorities, separated by commas. */
  @MayBeAbsent()
  @IsListOfWholeNumbers({ min: 0, max: 10 })
  @ApiProperty({ example: [5, 7] })
  priority?: number[];

  /** Only tasks that this agent type is to do. */
  @MayBeAbsent()
  @IsText(AGENT_TYPE)
  @ApiProperty({ example: 'gemini-agent' })
  agent_type?: string;

  /** The agent instance that works on it, or the last one that did. */
  @MayBeAbsent()
  @IsUuidText()
  @ApiProperty({ example: '019ac1a5-7c1e-7000-8000-000000000005' })
  assigned_agent_id?: string;

  /**
   * Words of the title or the description, or their beginnings, whatever the case. Every one has to be there; anything
   * that is neither letter nor digit only separates them.
   */
  @MayBeAbsent()
  @IsText({ min: 1, max: 200 })
  @ApiProperty({ example: 'invoice round' })
  q?: string;

  /** Made later than this. */
  @MayBeAbsent()
  @IsTime()
  @ApiProperty({ example: '2026-11-01T00:00:00Z' })
  created_after?: string;

  /** Made earlier than this. */
  @MayBeAbsent()
  @IsTime()
  @ApiProperty({ example: '2026-12-01T00:00:00Z' })
  created_before?: string;

  /** What to do with archived tasks. */
  @IsOneOf(ARCHIVED)
  @ApiProperty({ required: false })
  archived: Archived = 'exclude';

  /** The order; `-` has the greatest first. Ties go by id, in the same direction. */
  @IsOneOf(TASK_SORTS)
  @ApiProperty({ required: false })
  sort: TaskSort = '-created_at';
}

@ApiSchema({ name: 'TaskList' })
export class TaskListDto {
  tasks: TaskDto[];

  /** Of all tasks that pass the filters. */
  @ApiProperty({ type: 'integer', example: 1 })
  total: number;

  /** Asks for the next page, with the same filters and order; null on the last one. */
  @ApiProperty({ nullable: true, example: null })
  next_cursor: string | null;
}
