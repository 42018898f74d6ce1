import type { InferKyselyDB } from '@mikro-orm/postgresql';
import type { BoardWipLimitSchema } from '../domain/board-wip-limit.entity.js';
import type { BoardMemberSchema, BoardSchema } from '../domain/board.entity.js';
import type { TaskDependencySchema } from '../domain/task-dependency.entity.js';
import type { TaskEventSchema } from '../domain/task-event.entity.js';
import type { TaskSchema } from '../domain/task.entity.js';

/** This module's tables, for Kysely. */
export type TaskDB = InferKyselyDB<
  | typeof BoardSchema
  | typeof BoardMemberSchema
  | typeof BoardWipLimitSchema
  | typeof TaskSchema
  | typeof TaskEventSchema
  | typeof TaskDependencySchema
>;
