import { describe, expect, it } from 'vitest';
import type { Frame } from './notes.js';
import { compare, judge, type Facts } from './verdict.js';

const initialize: Frame = { id: 1, method: 'initialize' };
const opening: Frame = { id: 2, method: 'session/new' };
const prompt: Frame = { id: 3, method: 'session/prompt', params: { prompt: [{ type: 'text', text: 'Do it.' }] } };
const answer: Frame = { id: 0, result: { outcome: { outcome: 'selected', optionId: 'once' } } };
const asked: Frame = { id: 0, method: 'session/request_permission' };
const say = (text: string): Frame => ({
  method: 'session/update',
  params: { update: { sessionUpdate: 'agent_message_chunk', content: { type: 'text', text } } },
});
const told = (seq: number, kind: string, type: string, message = ''): Facts['messages'][number] => ({
  ...{ seq, type },
  data: { message, metadata: { kind } },
});

/** A conversation in which all is well. */
const WELL: Facts = {
  received: [initialize, opening, prompt, answer],
  sent: [
    ...[{ id: 1, result: { protocolVersion: 1 } }, say('<9> of before '), { id: 2, result: { sessionId: 's' } }],
    ...[say('<1> a '), asked, say('<2> b '), { id: 3, result: { stopReason: 'end_turn' } }],
  ],
  ...{ starts: 1, opening: [] },
  prompts: [{ text: 'Do it.', state: 'COMPLETED', is_sent: true }],
  requests: [{ state: 'ANSWERED', option_id: 'once' }],
  runs: [{ state: 'COMPLETED', failure_code: null }],
  attempts: [{ id: 'attempt' }],
  messages: [
    told(1, 'agent_message', 'log', '<1> a '),
    told(2, 'agent_message', 'log', '<2> b '),
    ...[told(3, 'turn_ended', 'status'), told(4, 'result', 'result')],
  ],
};
const NONE = { lost: 0, doubled: 0, reordered: 0, torn: 0, wrong_ends: 0, wrong_answers: 0, wrong_starts: 0 };

describe('the verdict on a conversation', () => {
  it('finds nothing where all is well', () => {
    expect(judge(WELL)).toEqual({ finding: { ...NONE, turns: 1, words: 2, answers: 1 }, found: [] });
  });

  const { received, sent, messages } = WELL;
  it.each<[string, Partial<Facts>, Partial<typeof NONE>]>([
    ['a prompt twice', { received: [...received, { ...prompt, id: 4 }] }, { doubled: 1 }],
    ['an id twice', { received: received.map((one) => (one === prompt ? { ...one, id: 2 } : one)) }, { doubled: 1 }],
    ['a session twice', { received: [initialize, opening, { ...opening, id: 4 }, prompt, answer] }, { doubled: 1 }],
    ['an answer twice', { received: [...received, answer] }, { doubled: 1 }],
    ['no answer', { received: received.slice(0, 3) }, { lost: 1, wrong_answers: 1 }],
    ['another answer', { requests: [{ state: 'ANSWERED', option_id: 'no' }] }, { wrong_answers: 1 }],
    ['a cancel that nobody wanted', { received: [...received, { method: 'session/cancel' }] }, { doubled: 1 }],
    ['a lost word', { sent: [...sent, say('<3>')] }, { lost: 1 }],
    ['a torn word', { messages: [told(1, 'agent_message', 'log', '<1> ? <2> b '), ...retold(2)] }, { torn: 1 }],
    ['a message twice', { messages: [...messages, messages[0]!] }, { doubled: 2 }],
    ['two ends', { messages: [...messages, told(5, 'turn_ended', 'status')] }, { wrong_ends: 1 }],
    ['a run that failed', { runs: [{ state: 'FAILED', failure_code: 'agent.lost' }] }, { wrong_ends: 1 }],
    ['two starts', { starts: 2 }, { wrong_starts: 1 }],
  ])('finds %s', (_, change, faults) => {
    const { finding, found } = judge({ ...WELL, ...change });
    expect(finding).toMatchObject({ ...NONE, ...faults });
    expect(found.length).toBeGreaterThan(0);
  });

  it('knows what is lost, doubled and out of order', () => {
    expect(compare(['a', 'b', 'c', 'd'], ['b', 'a', 'd', 'd'])).toEqual({
      ...{ lost: ['c'], doubled: ['d'], reordered: ['a'] },
    });
  });
});

function retold(seq: number): Facts['messages'][number][] {
  return [told(seq, 'turn_ended', 'status'), told(seq + 1, 'result', 'result')];
}
