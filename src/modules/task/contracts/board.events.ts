import { DomainEvent } from '../../../common/bus/contracts.js';

/** What every event of a membership carries. `actor_id` is null when the server did it. */
export interface BoardMemberEventData {
  user_id: string;
  actor_id: string | null;
}

/** Somebody became a member of the board, or has another role on it. `aggregate_seq` is the board's version. */
export class BoardMemberChangedEvent extends DomainEvent<BoardMemberEventData & { role: string }> {
  static readonly topic = 'board.member_changed';
  readonly topic = BoardMemberChangedEvent.topic;
}

/** Somebody is no longer a member of the board. `aggregate_seq` is the board's version. */
export class BoardMemberRemovedEvent extends DomainEvent<BoardMemberEventData> {
  static readonly topic = 'board.member_removed';
  readonly topic = BoardMemberRemovedEvent.topic;
}

/** Other limits of how many tasks may be in a column hold on the board. `aggregate_seq` is the board's version. */
export class BoardWipLimitsChangedEvent extends DomainEvent<{ actor_id: string | null }> {
  static readonly topic = 'board.wip_limits_changed';
  readonly topic = BoardWipLimitsChangedEvent.topic;
}
