import { Injectable, Logger } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { currentRequest } from '../http/request-context.js';
import type { Actor } from './actor.js';
import { NoteApiKeyUseCommand } from './principal.commands.js';

const AGAIN_AFTER_MS = 3_600_000; // an hour: enough to see which key is used from where, and no row a request
const MAX_KNOWN = 10_000; // pairs of key and address; beyond, the oldest is noted again early

/** Notes which users' keys are in use, and from where, beside the request and not before it. */
@Injectable()
export class KeyUses {
  private readonly logger = new Logger(KeyUses.name);
  private readonly noted = new Map<string, number>();

  constructor(private readonly commands: CommandBus) {}

  /** To be called for each request that came with a key. Returns at once. */
  note({ user_id, api_key_id }: Actor): void {
    if (user_id === null || api_key_id === undefined) return;
    const use = `${api_key_id} ${currentRequest()?.address}`;
    const now = performance.now();
    const last = this.noted.get(use);
    if (last !== undefined && now - last < AGAIN_AFTER_MS) return;
    this.noted.delete(use);
    for (const oldest of this.noted.keys()) {
      if (this.noted.size < MAX_KNOWN) break;
      this.noted.delete(oldest);
    }
    this.noted.set(use, now);
    this.commands.execute(new NoteApiKeyUseCommand(user_id, api_key_id)).catch((error: unknown) => {
      this.noted.delete(use);
      this.logger.warn({ err: error }, 'the use of an API key could not be noted; again with its next request');
    });
  }
}
