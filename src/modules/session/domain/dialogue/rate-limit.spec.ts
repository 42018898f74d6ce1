import { describe, expect, it } from 'vitest';
import { rateLimitOf } from './rate-limit.js';

describe('a limit of the provider', () => {
  it.each<[string, object, number | null]>([
    ['a code', { code: 429, message: 'no' }, null],
    ['a text', { code: -32603, message: 'Rate limit reached for gpt.' }, null],
    ['a field', { code: -32603, message: 'busy', data: { retry_after_seconds: 7 } }, 7],
    ['a header', { code: -32603, message: 'busy', data: { headers: { 'retry-after': '12' } } }, 12],
    ['words', { code: -32603, message: '429 Too Many Requests. Please retry in 34.5s.' }, 34.5],
    ['words with minutes', { code: 429, message: 'Try again after 2 m' }, 120],
    [
      'the details of gRPC',
      { message: 'x', data: { error: { status: 'RESOURCE_EXHAUSTED', details: [{ retryDelay: '31s' }] } } },
      31,
    ],
  ])('is known by %s', (_, error, retry_after_seconds) => {
    expect(rateLimitOf(error as Record<string, unknown>)).toEqual({ retry_after_seconds });
  });

  it.each<[string, object]>([
    ['another error', { code: -32603, message: 'quota of words, port 4290, retry in 5s' }],
    ['a time that is none', { message: 'x', data: { retry_after: -1, retryDelay: 'soon', retryAfter: {} } }],
    ['one that lies too deep', { data: { data: { data: { data: { data: { code: 429 } } } } } }],
  ])('is not %s', (_, error) => {
    expect(rateLimitOf(error as Record<string, unknown>)).toBeNull();
  });
});
