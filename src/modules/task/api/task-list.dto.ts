import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { FromDigits, IsListOf, IsText, IsWholeNumber } from '../../../common/validation/fields.decorator.js';
import { PageQuery } from '../../../common/validation/page.dto.js';
import { TASK_STATES, type TaskState } from '../contracts/task.types.js';
import { AGENT_TYPE } from './task-requests.dto.js';
import { TaskDto } from './task.dto.js';

/** Which tasks of a board, and which part of the list. */
export class ListTasksRequest extends PageQuery {
  /** In one of these states, separated by commas. */
  @MayBeAbsent()
  @IsListOf(TASK_STATES)
  @ApiProperty({ example: 'TODO,IN_PROGRESS' })
  state?: TaskState[];

  @MayBeAbsent()
  @FromDigits()
  @IsWholeNumber({ min: 0, max: 10 })
  @ApiProperty({ example: 5 })
  priority?: number;

  @MayBeAbsent()
  @IsText(AGENT_TYPE)
  @ApiProperty({ example: 'gemini-agent' })
  agent_type?: string;

  /** Part of the title or the description, whatever the case. */
  @MayBeAbsent()
  @IsText({ min: 1, max: 200 })
  @ApiProperty({ example: 'invoice' })
  q?: string;
}

@ApiSchema({ name: 'TaskList' })
export class TaskListDto {
  tasks: TaskDto[];

  /** Of all tasks that pass the filters. */
  @ApiProperty({ type: 'integer', example: 1 })
  total: number;

  /** Asks for the next page; null on the last one. */
  @ApiProperty({ nullable: true, example: null })
  next_cursor: string | null;
}
