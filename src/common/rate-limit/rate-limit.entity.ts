import { defineEntity, p } from '@mikro-orm/postgresql';

export const RateLimitSchema = defineEntity({
  name: 'RateLimit',
  tableName: 'rate_limits',
  properties: {
    /** Who, and what is counted. */
    key: p.string().length(200).primary(),
    hits: p.integer(),
    window_ends_at: p.datetime(3),
    blocked_until: p.datetime(3).nullable(),
  },
});

/** A counter of requests that several server processes share. */
export class RateLimit extends RateLimitSchema.class {}
RateLimitSchema.setClass(RateLimit);
