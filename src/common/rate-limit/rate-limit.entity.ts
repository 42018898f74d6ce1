import { defineEntity, p } from '@mikro-orm/postgresql';

export const RateLimitSchema = defineEntity({
  name: 'RateLimit',
  tableName: 'rate_limits',
  properties: {
    /** Hash of who, and what is counted. */
    key: p.string().length(200).primary(),
    hits: p.integer(),
    window_ends_at: p.datetime(3),
  },
});

/** A counter of requests that several server processes share. */
export class RateLimit extends RateLimitSchema.class {}
RateLimitSchema.setClass(RateLimit);
