import { EventsHandler, type IEventHandler } from '@nestjs/cqrs';
import { MessagesAppendedEvent } from '../../agent/contracts/agent.events.js';
import { StreamHub } from './stream-hub.js';
import { StreamTeller } from './stream-teller.js';

/** Feeds the hub with what was just committed, and has the other processes told. */
@EventsHandler(MessagesAppendedEvent)
export class MessagesAppendedHandler implements IEventHandler<MessagesAppendedEvent> {
  constructor(
    private readonly hub: StreamHub,
    private readonly teller: StreamTeller,
  ) {}

  handle({ task_id, messages }: MessagesAppendedEvent): void {
    this.hub.appended(task_id, messages);
    const [first, last] = [messages[0], messages.at(-1)];
    if (first && last) this.teller.note(task_id, first.seq, last.seq);
  }
}
