import { Injectable } from '@nestjs/common';
import type { Actor } from '../../../common/auth/actor.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { Gate } from '../../../common/ops/gate.js';

/** Of one user: a person and their scripts need no more, and eight of them don't use up all there are. */
const PER_USER = 4;
/** In this process: each holds a piece or two in memory, which are 4 MiB at most. */
const IN_ALL = 32;
/** Pages that are read at once for all of them: a few of the database's connections, most are for others. */
const READS_AT_ONCE = 3;
const TRY_AGAIN_SECONDS = 10; // a download takes seconds, or minutes

/** What the downloads of this process may have at once. */
@Injectable()
export class DownloadSlots {
  private readonly open = new Map<string, number>();
  private readonly gate = new Gate(READS_AT_ONCE);
  private all = 0;

  /** Takes one of the user's downloads. Returns what gives it back; called twice it does nothing. @throws DomainError `download.too_many` */
  take({ user_id }: Actor): () => void {
    const user = user_id ?? '';
    const theirs = this.open.get(user) ?? 0;
    if (theirs >= PER_USER) throw tooMany(`You have ${PER_USER}`, 'one user');
    if (this.all >= IN_ALL) throw tooMany(`The server has ${IN_ALL}`, 'it');
    this.all++;
    this.open.set(user, theirs + 1);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.all--;
      const left = this.open.get(user)! - 1;
      if (left > 0) this.open.set(user, left);
      else this.open.delete(user);
    };
  }

  /** How many downloads are under way. */
  get taken(): number {
    return this.all;
  }

  /** Runs a read of a download when it is its turn. */
  read<T>(work: () => Promise<T>): Promise<T> {
    return this.gate.run(work);
  }
}

function tooMany(has: string, who: string): DomainError {
  const text = `${has} downloads of messages under way, which is all that ${who} may have. Try again when one has ended.`;
  return new DomainError('too_many_requests', 'download.too_many', text, { retry_after_seconds: TRY_AGAIN_SECONDS });
}
