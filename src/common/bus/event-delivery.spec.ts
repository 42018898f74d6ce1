import { Logger } from '@nestjs/common';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { EventDelivery } from './event-delivery.js';
import { OutboxHandlers, type OutboxHandler } from './outbox-handlers.js';

const EVENT = { id: '1', topic: 't', aggregate_id: 'a', aggregate_seq: 1, timestamp: '', data: {} };
const HANDLER_MS = 5_000;

beforeEach(() => {
  vi.useFakeTimers();
  Logger.overrideLogger(false);
});
afterEach(() => vi.useRealTimers());

function deliveryTo(...all: OutboxHandler[]): EventDelivery {
  const handlers = new OutboxHandlers();
  for (const handler of all) handlers.on('t', handler);
  return new EventDelivery(handlers, HANDLER_MS);
}

const taking = (ms: number) => () => new Promise<void>((resolve) => setTimeout(resolve, ms));
const nothing = () => Promise.resolve();

describe('the delivery of an event', () => {
  it('calls no handler twice at once, also when the first batch has lost its connection', async () => {
    const hung = Promise.withResolvers<void>();
    const handler = vi.fn(() => hung.promise);
    const delivery = deliveryTo(handler);
    const first = delivery.deliver(EVENT, nothing);
    expect(await delivery.deliver(EVENT, nothing)).toBe(false);
    expect(handler).toHaveBeenCalledTimes(1);
    hung.resolve();
    expect(await first).toBe(true);
    expect(await delivery.deliver(EVENT, nothing)).toBe(true); // at least once
    expect(handler).toHaveBeenCalledTimes(2);
  });

  it('shows that its transaction is alive between handlers that are slow, and not too slow', async () => {
    const tick = vi.fn(nothing);
    const delivery = deliveryTo(taking(3_800), taking(3_800), taking(1), taking(400), taking(400));
    const done = delivery.deliver(EVENT, tick);
    await vi.advanceTimersByTimeAsync(9_000);
    expect(await done).toBe(true);
    expect(tick).toHaveBeenCalledTimes(3); // after each slow one, and after what has added up
  });

  it('believes a call that has ended well too late, once', async () => {
    const handler = vi.fn(taking(HANDLER_MS + 1_000));
    const delivery = deliveryTo(handler);
    const late = delivery.deliver(EVENT, nothing);
    await vi.advanceTimersByTimeAsync(HANDLER_MS);
    expect(await late).toBe(false);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await delivery.deliver(EVENT, nothing)).toBe(true);
    expect(handler).toHaveBeenCalledTimes(1);
  });
});
