import { DomainEvent } from '../../../common/bus/contracts.js';
import type { RunState } from './run.types.js';

/** A run has changed its state. Whoever hears of it reads the run: events may come late, twice or out of order. */
export class RunStateChangedEvent extends DomainEvent<{ task_id: string; state: RunState }> {
  static readonly topic = 'run.state_changed';
  readonly topic = RunStateChangedEvent.topic;
}
