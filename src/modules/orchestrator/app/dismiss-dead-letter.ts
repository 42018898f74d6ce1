import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import type { Actor } from '../../../common/auth/actor.js';
import { Command } from '../../../common/bus/contracts.js';
import { DeadLetters } from './dead-letter-rows.js';

/**
 * Takes a dead letter off the list; its run stays as it is. One that was redriven is off it already.
 * @throws DomainError `dead_letter.not_found`, `board.forbidden`
 */
export class DismissDeadLetterCommand extends Command<void> {
  constructor(
    readonly actor: Actor,
    readonly id: string,
  ) {
    super();
  }
}

@CommandHandler(DismissDeadLetterCommand)
export class DismissDeadLetterHandler implements ICommandHandler<DismissDeadLetterCommand> {
  constructor(private readonly letters: DeadLetters) {}

  async execute({ actor, id }: DismissDeadLetterCommand): Promise<void> {
    await this.letters.dismiss(actor, await this.letters.find(actor, id));
  }
}
