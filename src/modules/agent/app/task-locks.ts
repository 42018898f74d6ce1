import { Injectable } from '@nestjs/common';
import { KeyedLock } from '../../../common/ops/keyed-lock.js';

/**
 * What needs a task's workspace for itself goes one after the other: preparing an attempt, saving and removing it,
 * bringing it back, committing. An attempt holds it only until its agent may run; from then on its live row tells, so
 * whoever gets the lock looks at the rows first. A workspace is on one host and one server serves that, so this is
 * enough; a kill frees all.
 */
@Injectable()
export class TaskLocks {
  private readonly locks = new KeyedLock();

  /** Runs `work` when everybody before has finished with the task's workspace. Not to be nested. */
  exclusively<T>(taskId: string, work: () => Promise<T>): Promise<T> {
    return this.locks.run(taskId, work);
  }
}
