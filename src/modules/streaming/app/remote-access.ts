import { Injectable, type OnModuleInit } from '@nestjs/common';
import { AccessNews } from '../../../common/auth/access-news.js';
import { Authenticator } from '../../../common/auth/authenticator.js';
import { Workers, type Worker } from '../../../common/ops/workers.js';
import { DatabaseNews } from '../../../common/persistence/database-news.js';

const CHANNEL = 'kandev_access';

/**
 * Brings here what any process has changed of who may read what: sign-ins, keys, roles and memberships that ended, and
 * memberships that began. PostgreSQL tells it with the commit; where it is not heard, looks every few seconds serve.
 */
@Injectable()
export class RemoteAccess implements OnModuleInit, Worker {
  readonly name = 'remote-access';
  readonly roles = ['api'] as const;

  constructor(
    private readonly authenticator: Authenticator,
    private readonly access: AccessNews,
    private readonly news: DatabaseNews,
    private readonly workers: Workers,
  ) {}

  onModuleInit(): void {
    this.workers.add(this);
  }

  start(): void {
    const lookAgain = (): void => this.authenticator.forget();
    this.news.listen({ name: CHANNEL, hear: (text) => this.hear(text), begun: lookAgain });
  }

  async stop(): Promise<void> {
    // The connection is not ours.
  }

  /** A user and a board: a membership has begun. Anything else: somebody may read less, or be nobody any more. */
  private hear(text: string): void {
    const [userId, boardId] = text.split(' ');
    if (userId !== undefined && boardId !== undefined) this.access.membershipBegan(userId, boardId);
    else this.authenticator.forget();
  }
}
