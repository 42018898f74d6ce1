import { describe, expect, it } from 'vitest';
import type { MessageDraft, MessageType } from '../../../common/acp/acp-message.js';
import { lastRetryAfter } from './result-columns.js';

const draft = (type: MessageType, data: Record<string, unknown>): MessageDraft => ({
  ...{ type, data, level: null, timestamp: '2026-11-22T12:00:00.000Z' },
});

describe('what a provider has asked for', () => {
  it.each([
    ['a result says it', draft('result', { status: 'failed', retry_after_seconds: 30 }), 30],
    ['an error says it by the short name', draft('error', { retry_after: 1.5 }), 1.5],
    ['nothing to wait for', draft('error', { retry_after_seconds: 0 }), 0],
    ['more than a week', draft('error', { retry_after_seconds: 1e12 }), 604_800],
    ['for ever', draft('error', { retry_after_seconds: Infinity }), 604_800],
    ['the past', draft('error', { retry_after_seconds: -1 }), undefined],
    ['a text', draft('error', { retry_after_seconds: '30' }), undefined],
    ['progress says it', draft('progress', { retry_after_seconds: 30 }), undefined],
  ])('%s', (_, message, seconds) => {
    expect(lastRetryAfter([message]).retry_after_seconds).toBe(seconds);
  });

  it('is what was said last, whatever came after that said nothing of it', () => {
    const messages = [
      draft('error', { retry_after_seconds: 10 }),
      draft('error', { retry_after_seconds: 20 }),
      draft('result', { status: 'failed' }),
    ];
    expect(lastRetryAfter(messages)).toEqual({ retry_after_seconds: 20 });
    expect(lastRetryAfter([])).toEqual({});
  });
});
