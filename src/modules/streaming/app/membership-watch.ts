import { Injectable, type OnModuleInit } from '@nestjs/common';
import { OutboxHandlers } from '../../../common/bus/outbox-handlers.js';
import { BoardMemberRemovedEvent } from '../../task/contracts/board.events.js';
import { StreamConnections } from './stream-connections.js';

/**
 * Closes the connections of somebody whose membership of a board has ended. Connected again, they get what they may
 * still see from where they were. Hears of it in the process that delivers the event: others go by the next handshake.
 */
@Injectable()
export class MembershipWatch implements OnModuleInit {
  constructor(
    private readonly events: OutboxHandlers,
    private readonly connections: StreamConnections,
  ) {}

  onModuleInit(): void {
    this.events.on(BoardMemberRemovedEvent.topic, ({ data }) => {
      const end = {
        code: 'auth.membership_ended',
        detail: 'You are no longer a member of a board. Connect again.',
      } as const;
      const theirs = this.connections.all.filter(({ actor }) => actor.user_id === data['user_id']);
      // Administrators see every board as before.
      for (const { actor, reader } of theirs) if (actor.role !== 'admin') reader.close(end);
      return Promise.resolve();
    });
  }
}
