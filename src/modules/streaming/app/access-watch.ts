import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { Authenticator } from '../../../common/auth/authenticator.js';
import { WakeUp } from '../../../common/bus/wake-up.js';
import { Workers, type Worker } from '../../../common/ops/workers.js';
import { GrantCheck } from './grant-check.js';
import type { StreamConnection } from './stream-connection.js';
import { StreamConnections } from './stream-connections.js';

const RECHECK_MS = 3_000; // how late counts what nobody has told
const MAX_RECHECK_MS = 10_000; // the same where there is so much to check …
const SHARE = 20; // … that it would take more than a twentieth of the time
/** Once more after a change: a subscription may have been under way that had looked before. */
const AGAIN_MS = 300;
const CHANGING_MS = 1_000; // so long after a change; what takes longer is found by the next look
const REST_MS = 100; // between two looks: many sign-outs at once cost one look, not one each
const HANDSHAKE_MS = 15_000; // longer than a handshake takes: who was let in before a change may arrive after it

/**
 * Closes connections of those who would not be let in any more: signed out, disabled, their key revoked, or no
 * administrator any more. At once, also where another process tells it; where that is not heard, within seconds. With it
 * goes whatever else somebody may not read any more ({@link GrantCheck}).
 */
@Injectable()
export class AccessWatch implements OnModuleInit, Worker {
  readonly name = 'access-watch';
  readonly roles = ['api'] as const;
  private readonly logger = new Logger(AccessWatch.name);
  private readonly bell = new WakeUp();
  private readonly stopping = new AbortController();
  private running: Promise<void> | undefined;
  private changedAt = -Infinity;

  constructor(
    private readonly authenticator: Authenticator,
    private readonly connections: StreamConnections,
    private readonly grants: GrantCheck,
    private readonly workers: Workers,
  ) {}

  onModuleInit(): void {
    this.workers.add(this);
    this.authenticator.onForget(() => {
      this.changedAt = performance.now();
      this.bell.ring();
    });
    // Its handshake may have looked at things as they were before the change.
    this.connections.onAdded(() => {
      if (performance.now() - this.changedAt < HANDSHAKE_MS) this.bell.ring();
    });
  }

  /** Looks at once, because somebody's access may have changed. */
  look(): void {
    this.bell.ring();
  }

  start(): void {
    this.running = this.loop();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    this.bell.ring();
    await this.running;
  }

  private async loop(): Promise<void> {
    const { signal } = this.stopping;
    let pause = RECHECK_MS;
    while (!signal.aborted) {
      await this.bell.wait(pause);
      if (signal.aborted) return;
      const started = performance.now();
      try {
        await this.checkSignIns();
        await this.grants.check();
      } catch (error) {
        this.logger.warn({ err: error }, 'the access of connections could not be checked; trying again');
      }
      const took = performance.now() - started;
      pause = Math.min(MAX_RECHECK_MS, Math.max(RECHECK_MS, took * SHARE));
      if (started - this.changedAt < CHANGING_MS) pause = Math.max(AGAIN_MS, took);
      await sleep(REST_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  private async checkSignIns(): Promise<void> {
    const groups = this.byActor();
    if (groups.length === 0) return;
    const refusals = await this.authenticator.recheck(groups.map(({ actor }) => actor));
    groups.forEach(({ those }, i) => {
      const refused = refusals[i];
      if (!refused) return;
      for (const { reader } of those) {
        reader.close({ code: refused.code as `auth.${string}`, detail: refused.message });
      }
    });
  }

  /** The tabs of one sign-in are one question. */
  private byActor(): { actor: StreamConnection['actor']; those: StreamConnection[] }[] {
    const groups = Map.groupBy(this.connections.all, ({ actor }) => {
      return `${actor.role} ${actor.user_id} ${actor.session_id} ${actor.api_key_id}`;
    });
    return [...groups.values()].flatMap((those) => (those[0] ? [{ actor: those[0].actor, those }] : []));
  }
}
