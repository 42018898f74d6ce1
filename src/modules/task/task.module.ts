import { Module } from '@nestjs/common';
import { CqrsModule } from '@nestjs/cqrs';
import { BoardController } from './api/board.controller.js';
import { BoardMembersController } from './api/board-members.controller.js';
import { TaskActionsController } from './api/task-actions.controller.js';
import { TaskController } from './api/task.controller.js';
import { TaskListsController } from './api/task-lists.controller.js';
import { SettleRunHandler } from './app/settle-run.js';
import { ApplyRunToTaskHandler } from './app/apply-run-to-task.js';
import { ArchiveTaskHandler } from './app/archive-task.js';
import { FindBoardNamesHandler } from './app/board-names.query.js';
import { CreateBoardHandler, UpdateBoardHandler } from './app/board.crud.js';
import { RemoveBoardMemberHandler, SetBoardMemberHandler } from './app/board-members.js';
import { ListBoardMembersHandler } from './app/board-members.queries.js';
import {
  AuthorizeBoardHandler,
  GetBoardHandler,
  ListBoardsHandler,
  ListVisibleBoardsHandler,
} from './app/board.queries.js';
import { BulkTasksHandler } from './app/bulk-tasks.js';
import { DeleteBoardHandler } from './app/delete-board.js';
import { DeleteTaskHandler } from './app/delete-task.js';
import { FindDependentsHandler, FindOpenDependenciesHandler } from './app/dependencies.queries.js';
import { DispatchTaskHandler } from './app/dispatch-task.js';
import { HoldTaskForRunHandler } from './app/hold-task-for-run.js';
import { LiveRuns } from './app/live-runs.js';
import { FindHeldTasksHandler } from './app/held-tasks.query.js';
import { FindLostGrantsHandler } from './app/lost-grants.query.js';
import { MoveTaskHandler, ReopenTaskHandler } from './app/move-task.js';
import { CreateTaskHandler, UpdateTaskHandler } from './app/task.crud.js';
import { TaskCountMerger } from './app/merge-task-counts.js';
import { ListTaskEventsHandler } from './app/task-events.queries.js';
import { ListTasksHandler } from './app/task-lists.queries.js';
import { FindVisibleTasksHandler, GetTaskHandler, ReadTaskHandler } from './app/task.queries.js';
import { SetWipLimitsHandler } from './app/set-wip-limits.js';
import { FindWipBlocksHandler, FindWipRoomHandler } from './app/wip.queries.js';
import { Board, BoardMember } from './domain/board.entity.js';
import { BoardWipLimit } from './domain/board-wip-limit.entity.js';
import { TaskCount } from './domain/task-count.entity.js';
import { TaskDependency } from './domain/task-dependency.entity.js';
import { TaskEvent } from './domain/task-event.entity.js';
import { Task } from './domain/task.entity.js';

/** Tables of this module. */
export const taskEntities = [Board, BoardMember, BoardWipLimit, Task, TaskEvent, TaskDependency, TaskCount];

const commandHandlers = [
  ...[CreateBoardHandler, UpdateBoardHandler, DeleteBoardHandler, SetWipLimitsHandler],
  ...[SetBoardMemberHandler, RemoveBoardMemberHandler],
  ...[CreateTaskHandler, UpdateTaskHandler, DeleteTaskHandler],
  ...[MoveTaskHandler, ReopenTaskHandler, ApplyRunToTaskHandler, DispatchTaskHandler, SettleRunHandler],
  HoldTaskForRunHandler,
  ...[ArchiveTaskHandler, BulkTasksHandler],
];

const queryHandlers = [
  ...[GetBoardHandler, ListBoardsHandler, AuthorizeBoardHandler, ListVisibleBoardsHandler, ListBoardMembersHandler],
  ...[ReadTaskHandler, GetTaskHandler, FindVisibleTasksHandler, ListTasksHandler, ListTaskEventsHandler],
  ...[FindOpenDependenciesHandler, FindDependentsHandler, FindLostGrantsHandler],
  ...[FindWipBlocksHandler, FindWipRoomHandler, FindHeldTasksHandler, FindBoardNamesHandler],
];

/** Boards, the cards on them, and their history. */
@Module({
  imports: [CqrsModule],
  controllers: [BoardController, BoardMembersController, TaskController, TaskListsController, TaskActionsController],
  providers: [...commandHandlers, ...queryHandlers, LiveRuns, TaskCountMerger],
})
export class TaskModule {}
