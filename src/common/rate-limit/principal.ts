import { normalizeIp } from '@nestjs/throttler';
import type { Actor } from '../auth/actor.js';
import type { Config } from '../config/config.js';

/** What the limits need of a request. */
export interface CountedRequest {
  actor?: Actor;
  ip: string;
  /** Set once the request has been counted. */
  rate_counted?: boolean;
}

export const WINDOW_SECONDS = 60; // the settings are requests a minute

/**
 * Whose requests are counted together: a script's key, an agent, all sign-ins of a user, else the address. An IPv6
 * address counts as its /64, which is what one customer gets.
 */
export function principalOf({ actor, ip }: CountedRequest): string {
  if (actor?.agent_id !== undefined) return `agent:${actor.agent_id}`;
  if (actor?.api_key_id !== undefined) return `key:${actor.api_key_id}`;
  if (actor?.user_id != null) return `user:${actor.user_id}`;
  return `address:${normalizeIp(ip)}`;
}

/** Requests a minute that they may make; 0 for no limit. */
export function limitOf({ actor }: CountedRequest, { rate_limit }: Config): number {
  return actor ? rate_limit.per_minute : rate_limit.anonymous_per_minute;
}
