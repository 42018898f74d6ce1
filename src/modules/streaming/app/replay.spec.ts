import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import type { QueryBus } from '@nestjs/cqrs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../../../../test/support/memory-log.js';
import { MemorySink, StreamWorld, TINY_LIMITS } from '../../../../test/support/stream-world.js';
import { ReadReplayQuery, type MessageFilter, type TimedMessage } from '../../agent/contracts/agent.queries.js';
import { FindRunQuery } from '../../orchestrator/contracts/run.queries.js';
import { Replays } from './replay.js';
import { StreamSource } from './stream-source.js';

const ANN = { user_id: 'ann', role: 'member' } as const;
const world = new StreamWorld(7);
const task_id = world.addTask(world.addBoard('ann'));
const stored = world.append(task_id, 60);

/** A run of these messages, `step` ms apart; the database is away for every third read. */
function replaysOf(step: number, onPage: (last: number) => void = () => undefined) {
  const pages: number[] = [];
  let reads = 0;
  let kept_from = 1;
  const messages = stored.map((message, i): TimedMessage => ({ ...message, stored_at_ms: 1_000 + i * step }));
  const execute = async (query: object): Promise<unknown> => {
    if (query instanceof FindRunQuery) return { run_id: 'run', state: 'COMPLETED', is_live: false };
    if (!(query instanceof ReadReplayQuery)) return world.answer(query);
    if (++reads % 3 === 0) throw new Error('the database is away');
    pages.push(query.limit);
    const kept = messages.filter(({ seq }) => seq >= kept_from);
    const page = kept.filter(({ seq }) => seq > query.after_seq).slice(0, query.limit);
    onPage(page.at(-1)?.seq ?? 0);
    return { messages: page, last_seq: kept.at(-1)?.seq ?? 0, kept_from };
  };
  const bus = { execute } as unknown as QueryBus;
  const replays = new Replays(bus, new StreamSource(bus, TINY_LIMITS), TINY_LIMITS);
  return { replays, pages, forget: (below: number) => void (kept_from = below) };
}

beforeAll(() => Logger.overrideLogger(false)); // what fails is meant to
afterAll(() => Logger.overrideLogger(['log', 'warn', 'error']));

const open: (() => void)[] = [];
afterEach(() => {
  for (const close of open.splice(0)) close();
});

function spectator(sink = new MemorySink()) {
  const { connection } = world.connect(ANN, sink);
  const leaving = new AbortController();
  open.push(() => connection.reader.dispose());
  return { connection, sink, gone: leaving.signal, leaving };
}

const run = (after = 0, filter: MessageFilter | null = null, at_speed = 1_000) => ({
  ...{ task_id, run_id: 'run', after, filter, at_speed },
});
const seqs = Array.from({ length: 60 }, (_, i) => i + 1);

describe('a replay', () => {
  it('waits for a slow reader and holds no more than a page, whatever the database does', async () => {
    const { replays, pages } = replaysOf(0);
    const sink = new MemorySink(() => 3);
    const watching = spectator(sink);
    await replays.play(run(), watching);
    expect(sink.of(task_id)).toEqual(seqs);
    expect(Math.max(...sink.frames)).toBeLessThanOrEqual(TINY_LIMITS.frameMessages);
    expect(Math.max(...pages)).toBeLessThanOrEqual(TINY_LIMITS.maxPage);
    expect(sink.ended).toMatchObject({ code: 'replay.ended' });
  });

  it('stops for one who does not read, and goes on', async () => {
    const { replays } = replaysOf(0);
    const sink = new MemorySink(() => Infinity);
    const playing = replays.play(run(), spectator(sink));
    await eventually('the first frame', () => sink.frames.length === 1);
    await sleep(20);
    expect(sink.frames).toHaveLength(1);
    sink.clog = () => 0;
    sink.drain();
    await playing;
    expect(sink.of(task_id)).toEqual(seqs);
  });

  it('begins in the middle, and tells where it came to when a filter left nothing', async () => {
    const { replays } = replaysOf(0);
    const sink = new MemorySink();
    await replays.play(run(50, { types: ['log'], min_level: null }), spectator(sink));
    expect(sink.of(task_id)).toEqual(seqs.slice(50));
    const none = new MemorySink();
    await replays.play(run(0, { types: ['result'], min_level: null }), spectator(none));
    expect(none.of(task_id)).toEqual([]);
    expect(none.ended).toMatchObject({ code: 'replay.ended' });
  });

  it('says where it goes on when messages are removed, at its start, in the middle and at its end', async () => {
    const { replays, forget } = replaysOf(0, (last) => {
      if (last >= 30 && last < 40) forget(45);
      if (last >= 50) forget(200);
    });
    forget(11);
    const sink = new MemorySink();
    await replays.play(run(), spectator(sink));
    const got = sink.of(task_id);
    const [middle, end] = [got.indexOf(45), got.length];
    expect(sink.resets).toEqual([11, 45, 200].map((first_seq) => ({ task_id, first_seq })));
    expect(got).toEqual([...seqs.slice(10, 10 + middle), ...seqs.slice(44, 44 + end - middle)]);
    expect(sink.ended).toMatchObject({ code: 'replay.ended' });
  });

  it('ends at once with its client, in the longest pause', async () => {
    const { replays } = replaysOf(3_600_000);
    const { leaving, ...watching } = spectator();
    const playing = replays.play(run(0, null, 0.1), watching);
    await eventually('the first message', () => watching.sink.of(task_id).length === 1);
    leaving.abort();
    watching.connection.reader.dispose();
    await playing;
    expect(watching.sink.of(task_id)).toEqual([1]);
  });

  it('ends when the client may see the task no more', async () => {
    const { replays } = replaysOf(0);
    const { connection, gone, sink } = spectator();
    world.members.get(world.boardOf.get(task_id)!)!.delete('ann');
    await replays.play(run(), { connection, gone, sink });
    expect(sink.ended).toMatchObject({ code: 'auth.membership_ended' });
    expect(sink.of(task_id)).toEqual([]);
  });
});
