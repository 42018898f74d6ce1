import { DomainEvent } from '../../../common/bus/contracts.js';

/**
 * Permission requests of an agent were opened, answered or closed. Whoever hears of it reads the rows: events may come
 * late, twice or out of order.
 */
export class PermissionsChangedEvent extends DomainEvent<{ task_id: string; run_id: string }> {
  static readonly topic = 'session.permissions_changed';
  readonly topic = PermissionsChangedEvent.topic;
}
