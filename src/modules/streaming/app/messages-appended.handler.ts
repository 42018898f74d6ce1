import { EventsHandler, type IEventHandler } from '@nestjs/cqrs';
import { MessagesAppendedEvent } from '../../agent/contracts/agent.events.js';
import { StreamHub } from './stream-hub.js';

/** Feeds the hub with what was just committed. */
@EventsHandler(MessagesAppendedEvent)
export class MessagesAppendedHandler implements IEventHandler<MessagesAppendedEvent> {
  constructor(private readonly hub: StreamHub) {}

  handle({ task_id, messages }: MessagesAppendedEvent): void {
    this.hub.appended(task_id, messages);
  }
}
