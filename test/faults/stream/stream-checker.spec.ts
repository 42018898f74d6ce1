import { describe, expect, it } from 'vitest';
import { lineOf, RollingHash, SHORTEST, type Plan } from '../../support/numbered-agent.js';
import { NO_DAMAGE } from '../../support/damage.js';
import { ExpectedLines } from '../../support/line-checker.js';
import { StreamChecker, type CheckedMessage } from '../../support/stream-checker.js';

const TASK = '11111111-2222-4333-8444-555555555555';
const OTHER = '99999999-2222-4333-8444-555555555555';
const PLAN: Plan = { seed: 7, lines: 20 };

function log(seq: number, message: string, metadata: Record<string, unknown> = {}): CheckedMessage {
  return { seq, type: 'log', task_id: TASK, data: { level: 'info', message, metadata } };
}

/** A status, then the lines 1 to 20, then a status: 22 messages. */
function whole(plan = PLAN): CheckedMessage[] {
  const lines = Array.from({ length: 20 }, (_, i) => log(i + 2, lineOf(plan, TASK, i + 1)));
  const status = (seq: number) => ({ seq, type: 'status', task_id: TASK, data: {} });
  return [status(1), ...lines, status(22)];
}

function verdict(messages: CheckedMessage[], plan = PLAN, written = 20, head = 22) {
  const checker = new StreamChecker(new ExpectedLines(plan, TASK));
  for (const message of messages) checker.take(message);
  return checker.finish(written, head);
}

/** The same with numbers in a row, as it is where the damage was done before they were given out. */
function renumbered(messages: CheckedMessage[]): CheckedMessage[] {
  return messages.map((message, i) => ({ ...message, seq: i + 1 }));
}

describe('the checker of streams', () => {
  it('finds nothing where nothing is', () => {
    expect(verdict(whole())).toEqual(NO_DAMAGE);
  });

  it('finds what is lost: on the way, before it was numbered, and at the end', () => {
    expect(verdict(whole().toSpliced(5, 2))).toEqual({ ...NO_DAMAGE, lost: 2 });
    expect(verdict(renumbered(whole().toSpliced(5, 3)), PLAN, 20, 19)).toEqual({ ...NO_DAMAGE, lost: 3 });
    expect(verdict(whole().slice(0, -1))).toEqual({ ...NO_DAMAGE, lost: 1 });
    expect(verdict(whole(), PLAN, 22)).toEqual({ ...NO_DAMAGE, lost: 2 });
  });

  it('finds what is doubled: on the way, and before it was numbered', () => {
    const messages = whole();
    expect(verdict(messages.toSpliced(6, 0, messages[4]!, messages[5]!))).toEqual({ ...NO_DAMAGE, doubled: 2 });
    const twice = renumbered(messages.toSpliced(6, 0, messages[5]!));
    expect(verdict(twice, PLAN, 20, 23)).toEqual({ ...NO_DAMAGE, doubled: 1 });
  });

  it('finds what is reordered: on the way, and before it was numbered', () => {
    const messages = whole();
    const swapped = messages.with(8, messages[9]!).with(9, messages[8]!);
    expect(verdict(swapped)).toMatchObject({ reordered: 1, doubled: 0, torn: 0 });
    expect(verdict(renumbered(swapped))).toEqual({ ...NO_DAMAGE, reordered: 1 });
  });

  it('finds what is torn: cut, glued together, changed, and a long line whose piece is missing', () => {
    const messages = whole();
    const text = lineOf(PLAN, TASK, 4);
    const halves = [log(0, text.slice(0, 30)), log(0, text.slice(30))];
    expect(verdict(renumbered(messages.toSpliced(4, 1, ...halves)), PLAN, 20, 23)).toMatchObject({ torn: 2, lost: 1 });
    const glued = log(5, text + lineOf(PLAN, TASK, 5));
    expect(verdict(renumbered(messages.toSpliced(4, 2, glued)), PLAN, 20, 21)).toMatchObject({ torn: 1, lost: 2 });
    expect(verdict(messages.with(4, log(5, text.replace(/.$/, '\ufffd'))))).toMatchObject({ torn: 1, lost: 1 });
    const piece = log(5, text, { continued: true });
    expect(verdict(messages.with(4, piece))).toMatchObject({ torn: 1 });
    expect(verdict(messages.with(20, log(21, lineOf(PLAN, TASK, 20), { continues: true })))).toMatchObject({ torn: 1 });
  });

  it('finds what nobody wrote here: of other tasks, beyond the end, and what is no message', () => {
    const messages = whole();
    const foreign = { ...messages[3]!, task_id: OTHER };
    expect(verdict(messages.toSpliced(4, 0, foreign))).toEqual({ ...NO_DAMAGE, unexpected: 1 });
    const mixed = log(23, lineOf(PLAN, OTHER, 3));
    expect(verdict([...messages, mixed], PLAN, 20, 23)).toEqual({ ...NO_DAMAGE, unexpected: 1 });
    expect(verdict(messages, PLAN, 19)).toEqual({ ...NO_DAMAGE, unexpected: 1 });
    expect(verdict(messages, PLAN, 20, 21)).toEqual({ ...NO_DAMAGE, unexpected: 1 });
    const checker = new StreamChecker(new ExpectedLines(PLAN, TASK));
    checker.oddity();
    expect(checker.finish(0, 0)).toEqual({ ...NO_DAMAGE, unexpected: 1 });
  });

  it('puts the pieces of a long line together', () => {
    const text = lineOf(PLAN, TASK, 4);
    const flags = [{ continues: true }, { continues: true, continued: true }, { continued: true }];
    const pieces = flags.map((flag, i) => log(0, text.slice(i * 40, i === 2 ? undefined : (i + 1) * 40), flag));
    expect(verdict(renumbered(whole().toSpliced(4, 1, ...pieces)), PLAN, 20, 24)).toEqual(NO_DAMAGE);
    expect(verdict(renumbered(whole().toSpliced(4, 1, pieces[0]!, pieces[2]!)), PLAN, 20, 23)).toMatchObject({
      torn: 1,
    });
  });

  it('takes the beginning of one more line from an agent that was ended in the middle of it', () => {
    const tail = log(23, lineOf(PLAN, TASK, 21).slice(0, 50));
    const checker = new StreamChecker(new ExpectedLines(PLAN, TASK));
    for (const message of [...whole(), tail]) checker.take(message);
    expect(checker.highestLine).toBe(20);
    expect(checker.finish(20, 23, true)).toEqual(NO_DAMAGE);
    expect(verdict([...whole(), tail], PLAN, 20, 23)).toEqual({ ...NO_DAMAGE, torn: 1 });
  });

  it('counts lines that are too short for a number', () => {
    const plan: Plan = { ...PLAN, fillers: [{ text: '', times: 3 }] };
    const messages = Array.from({ length: 20 }, (_, i) => [lineOf(plan, TASK, i + 1), '', '', '']).flat();
    const stream = messages.map((text, i) => log(i + 1, text));
    expect(verdict(stream, plan, 20, 80)).toEqual(NO_DAMAGE);
    expect(verdict(renumbered(stream.toSpliced(6, 1)), plan, 20, 79)).toEqual({ ...NO_DAMAGE, lost: 1 });
    expect(verdict(renumbered(stream.slice(0, -1)), plan, 20, 79)).toEqual({ ...NO_DAMAGE, lost: 1 });
    expect(verdict(renumbered(stream.toSpliced(6, 0, stream[6]!)), plan, 20, 81)).toEqual({ ...NO_DAMAGE, doubled: 1 });
  });

  it('tells two streams apart that differ in anything', () => {
    const digest = (messages: CheckedMessage[]): string => {
      const checker = new StreamChecker(new ExpectedLines(PLAN, TASK));
      for (const message of messages) checker.take(message);
      return checker.digest();
    };
    expect(digest(whole())).toBe(digest(whole()));
    expect(digest(whole())).not.toBe(digest(whole().with(0, { ...whole()[0]!, data: { changed: true } })));
  });
});

describe('the lines of a numbered agent', () => {
  it('have the length asked for, whatever their number', () => {
    const lengths = [SHORTEST, 100, 16_385];
    const plan: Plan = { seed: 1, lines: 3, lengths };
    expect([1, 2, 3].map((n) => Buffer.byteLength(lineOf(plan, TASK, n)))).toEqual(lengths);
  });

  it('differ with the seed, the task and the number, and so does their rolling hash', () => {
    const texts = [lineOf(PLAN, TASK, 1), lineOf({ ...PLAN, seed: 8 }, TASK, 1), lineOf(PLAN, OTHER, 1)];
    expect(new Set([...texts, lineOf(PLAN, TASK, 2)]).size).toBe(4);
    expect(new RollingHash(PLAN, TASK, 20).digest()).not.toBe(new RollingHash(PLAN, TASK, 19).digest());
  });
});
