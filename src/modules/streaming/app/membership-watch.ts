import { Injectable, type OnModuleInit } from '@nestjs/common';
import { AccessNews } from '../../../common/auth/access-news.js';
import { OutboxHandlers } from '../../../common/bus/outbox-handlers.js';
import { BoardMemberChangedEvent, BoardMemberRemovedEvent } from '../../task/contracts/board.events.js';
import { TaskDeletedEvent } from '../../task/contracts/task.events.js';
import { AccessWatch } from './access-watch.js';
import { StreamConnections } from './stream-connections.js';
import { DELETED, MEMBERSHIP_ENDED } from './stream-ends.js';

/**
 * Closes all connections of somebody whose membership of a board has ended, before whoever ended it has an answer.
 * All of them, whatever they follow: a subscription may be under way that has looked before. Connected again, they
 * get what they may still see from where they were. Other processes look for themselves when they are told
 * ({@link RemoteAccess}), or within seconds. A new member's connections that follow all they may see get the board from
 * its next message on; where it is not told, within half a minute.
 */
@Injectable()
export class MembershipWatch implements OnModuleInit {
  constructor(
    private readonly news: AccessNews,
    private readonly events: OutboxHandlers,
    private readonly connections: StreamConnections,
    private readonly access: AccessWatch,
  ) {}

  onModuleInit(): void {
    this.news.onMembershipEnded((userId) => this.endFor(userId));
    this.news.onMembershipBegan((userId, boardId) => this.beginFor(userId, boardId));
    this.news.onBoardDeleted(() => this.access.look());
    // May come much later than the end, and to another process: whoever has connected since is not to be cut off.
    this.events.on(BoardMemberRemovedEvent.topic, () => {
      this.access.look();
      return Promise.resolve();
    });
    this.events.on(BoardMemberChangedEvent.topic, ({ aggregate_id, data }) => {
      this.beginFor(String(data['user_id']), aggregate_id);
      return Promise.resolve();
    });
    this.events.on(TaskDeletedEvent.topic, ({ aggregate_id }) => {
      for (const connection of this.connections.all) {
        if (connection.names(aggregate_id)) connection.reader.close(DELETED);
      }
      return Promise.resolve();
    });
  }

  private beginFor(userId: string, boardId: string): void {
    for (const connection of this.connections.of(userId)) connection.unhide(boardId);
  }

  private endFor(userId: string): void {
    // Administrators see every board as before.
    for (const { actor, reader } of this.connections.of(userId)) {
      if (actor.role !== 'admin') reader.close(MEMBERSHIP_ENDED);
    }
  }
}
