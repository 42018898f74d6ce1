import { Module } from '@nestjs/common';
import { CqrsModule } from '@nestjs/cqrs';
import { BoardController } from './api/board.controller.js';
import { TaskController } from './api/task.controller.js';
import { ApplyRunToTaskHandler } from './app/apply-run-to-task.js';
import { CreateBoardHandler, DeleteBoardHandler, UpdateBoardHandler } from './app/board.crud.js';
import {
  AuthorizeBoardHandler,
  GetBoardHandler,
  ListBoardsHandler,
  ListVisibleBoardsHandler,
} from './app/board.queries.js';
import { Deletions } from './app/deletions.js';
import { MoveTaskHandler, ReopenTaskHandler } from './app/move-task.js';
import { CreateTaskHandler, DeleteTaskHandler, UpdateTaskHandler } from './app/task.crud.js';
import { ListTaskEventsHandler, ListTasksHandler } from './app/task-lists.queries.js';
import { FindVisibleTasksHandler, GetTaskHandler, ReadTaskHandler } from './app/task.queries.js';
import { Board, BoardMember } from './domain/board.entity.js';
import { TaskCount } from './domain/task-count.entity.js';
import { TaskDependency } from './domain/task-dependency.entity.js';
import { TaskEvent } from './domain/task-event.entity.js';
import { Task } from './domain/task.entity.js';

/** Tables of this module. */
export const taskEntities = [Board, BoardMember, Task, TaskEvent, TaskDependency, TaskCount];

const commandHandlers = [
  ...[CreateBoardHandler, UpdateBoardHandler, DeleteBoardHandler],
  ...[CreateTaskHandler, UpdateTaskHandler, DeleteTaskHandler],
  ...[MoveTaskHandler, ReopenTaskHandler, ApplyRunToTaskHandler],
];

const queryHandlers = [
  ...[GetBoardHandler, ListBoardsHandler, AuthorizeBoardHandler, ListVisibleBoardsHandler],
  ...[ReadTaskHandler, GetTaskHandler, FindVisibleTasksHandler, ListTasksHandler, ListTaskEventsHandler],
];

/** Boards, the cards on them, and their history. */
@Module({
  imports: [CqrsModule],
  controllers: [BoardController, TaskController],
  providers: [...commandHandlers, ...queryHandlers, Deletions],
})
export class TaskModule {}
