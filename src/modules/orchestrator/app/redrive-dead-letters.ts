import { CommandBus, CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import type { Actor } from '../../../common/auth/actor.js';
import { Command } from '../../../common/bus/contracts.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { Idempotency, type OnceKey } from '../../../common/idempotency/idempotency.js';
import { StartRunCommand, type RunReceipt } from '../contracts/run.commands.js';
import { DeadLetters, type MeantLetters } from './dead-letter-rows.js';
import type { DeadLetterFilter } from './open-dead-letters.js';
import { RunStarts } from './start-run.js';

/** Dead letters that one request takes: each is a few short transactions, so that it is answered within seconds. */
export const MAX_REDRIVEN = 200;
/** How many of them at once: a part of the connections that the server has. */
const AT_ONCE = 4;

/**
 * Queues a new run of the dead letter's task, with its agent type and priority, whatever state the task is in. Again:
 * the same run.
 * @throws DomainError `dead_letter.not_found`, `dead_letter.overtaken`, `dead_letter.gone`, and those of
 *   {@link StartRunCommand}
 */
export class RedriveDeadLetterCommand extends Command<RunReceipt> {
  constructor(
    readonly actor: Actor,
    readonly id: string,
    readonly once: OnceKey | null = null,
  ) {
    super();
  }
}

@CommandHandler(RedriveDeadLetterCommand)
export class RedriveDeadLetterHandler implements ICommandHandler<RedriveDeadLetterCommand> {
  constructor(
    private readonly letters: DeadLetters,
    private readonly starts: RunStarts,
    private readonly idempotency: Idempotency,
  ) {}

  async execute({ actor, id, once }: RedriveDeadLetterCommand): Promise<RunReceipt> {
    const letter = await this.letters.find(actor, id);
    const before = await this.idempotency.answered<RunReceipt>(actor, once);
    const known = before ?? (await this.letters.redriven(letter));
    if (known) return known;
    await this.letters.requireWanted(letter);
    const { task_id, agent_type, priority } = letter;
    const command = new StartRunCommand(actor, task_id, { agent_type, priority, force: true }, once);
    try {
      return await this.starts.start(command, {
        first: () => this.letters.requireWanted(letter),
        besides: (tx, run) => this.letters.markRedriven(tx, actor, letter, run.id),
      });
    } catch (error) {
      // Who asks at the same time finds the run of who was faster in the way: that is theirs, too.
      const same = error instanceof DomainError && (await this.letters.redriven(await this.letters.find(actor, id)));
      if (same) return same;
      throw error;
    }
  }
}

/** What became of one dead letter: the run that was queued, or why not. */
export interface Redriven {
  id: string;
  ok: boolean;
  run_id: string | null;
  code: string | null;
  detail: string | null;
}

/** In the order of the request, or newest first. */
export interface RedriveResult {
  results: Redriven[];
  succeeded: number;
  failed: number;
  /** How many more there are that the filter means, behind these; 0 for ids. */
  remaining: number;
  /** For these; null where there are none. */
  next_cursor: string | null;
}

/**
 * The same for many, by ids (none twice, at most {@link MAX_REDRIVEN}) or by a filter, of whose dead letters the newest
 * {@link MAX_REDRIVEN} behind the cursor are taken, where the actor may run tasks. Each by itself: a kill in between
 * leaves some redriven, and asking again does the rest. Those that can't be redriven are left behind by the cursor.
 * @throws DomainError `idempotency.key_reused`, `request.invalid` for a cursor that is none
 */
export class RedriveDeadLettersCommand extends Command<RedriveResult> {
  constructor(
    readonly actor: Actor,
    readonly which: { ids: string[] } | { filter: DeadLetterFilter; cursor: string | null },
    readonly once: OnceKey | null = null,
  ) {
    super();
  }
}

@CommandHandler(RedriveDeadLettersCommand)
export class RedriveDeadLettersHandler implements ICommandHandler<RedriveDeadLettersCommand> {
  constructor(
    private readonly commands: CommandBus,
    private readonly letters: DeadLetters,
    private readonly idempotency: Idempotency,
  ) {}

  async execute({ actor, which, once }: RedriveDeadLettersCommand): Promise<RedriveResult> {
    const before = await this.idempotency.answered<RedriveResult>(actor, once);
    if (before) return before;
    const { ids, ...rest } = await this.meant(actor, which);
    const results: Redriven[] = [];
    for (let start = 0; start < ids.length; start += AT_ONCE) {
      const some = ids.slice(start, start + AT_ONCE);
      results.push(...(await Promise.all(some.map((id) => this.one(actor, id)))));
    }
    const succeeded = results.filter(({ ok }) => ok).length;
    const result = { results, succeeded, failed: results.length - succeeded, ...rest };
    return this.idempotency.run(actor, once, () => Promise.resolve(result));
  }

  private async meant(actor: Actor, which: RedriveDeadLettersCommand['which']): Promise<MeantLetters> {
    if ('ids' in which) return { ids: which.ids, remaining: 0, next_cursor: null };
    return this.letters.meant(actor, which.filter, which.cursor, MAX_REDRIVEN);
  }

  private async one(actor: Actor, id: string): Promise<Redriven> {
    try {
      const { run_id } = await this.commands.execute(new RedriveDeadLetterCommand(actor, id));
      return { id, ok: true, run_id, code: null, detail: null };
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      return { id, ok: false, run_id: null, code: error.code, detail: error.message };
    }
  }
}
