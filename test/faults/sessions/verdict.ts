import {
  answered,
  answerOf,
  asked,
  byAttempt,
  cancelsOf,
  idsOf,
  isAnswer,
  isOf,
  openingOf,
  openings,
  promptOf,
  wordsOf,
  type Frame,
} from './notes.js';

/** What one conversation has come to, as both sides tell of it. */
export interface Facts {
  /** What the agent was sent, and what it has sent: in order, over all of its starts. */
  received: readonly Frame[];
  sent: readonly Frame[];
  /** How often the agent's program was started, by its own count. */
  starts: number;
  /** What the session's settings ask for besides. */
  opening: readonly ('authenticate' | 'session/set_mode')[];
  prompts: readonly { text: string; state: string; is_sent: boolean }[];
  requests: readonly { state: string; option_id: string | null }[];
  runs: readonly { state: string; failure_code: string | null }[];
  attempts: readonly { id: string }[];
  /** The stream, as the API has it. */
  messages: readonly { seq: number; type: string; data: Record<string, unknown> }[];
}

/** What was found when all was over. */
export interface Finding {
  kills: number;
  /** Kills that were wanted, and have not come about: then little was tried. */
  kills_missing: number;
  turns: number;
  words: number;
  answers: number;
  lost: number;
  doubled: number;
  reordered: number;
  /** Words that are there, but not as they were said. */
  torn: number;
  /** Turns and runs that have not come to one good end. */
  wrong_ends: number;
  /** Permission requests that the agent has heard another answer to than their rows have. */
  wrong_answers: number;
  /** Attempts whose program was not started exactly once. */
  wrong_starts: number;
  note: string;
}

/** The figures that have to be 0. */
export const FAULTS = [
  'kills_missing',
  ...(['lost', 'doubled', 'reordered', 'torn'] as const),
  ...(['wrong_ends', 'wrong_answers', 'wrong_starts'] as const),
] as const satisfies readonly (keyof Finding)[];

export function isSound(finding: Finding): boolean {
  return FAULTS.every((fault) => finding[fault] === 0);
}

const WORD = /<\d+>/g;
const SHOWN = 200; // characters of what is not as it should be: enough to know what it was

/** Compares what the agent says with what the server says; `found` has in words what is wrong. */
export function judge(facts: Facts): { finding: Omit<Finding, 'kills' | 'kills_missing' | 'note'>; found: string[] } {
  const { received, sent, prompts, requests, runs, attempts, messages } = facts;
  const heard = byAttempt(received, ({ method }) => method === 'initialize');
  const said = byAttempt(sent, ({ result }) => result?.protocolVersion !== undefined);
  const prompted = prompts.filter(({ is_sent }) => is_sent);
  const spoken = said.flatMap((frames, n) => wordsOf(frames, heard[n] ?? [])).join('');
  const streamed = messages.filter((one) => kindOf(one) === 'agent_message').map(({ data }) => String(data['message']));
  const words = spoken.match(WORD) ?? [];
  const pairs: [string, readonly string[], readonly string[]][] = [
    ['words', words, streamed.join('').match(WORD) ?? []],
    ['prompts', prompted.map(({ text }) => text), received.filter(isOf('session/prompt')).map(promptOf)],
    ['requests', openings(attempts.length, facts.opening), heard.flatMap(openingOf)],
    ['ids of requests', distinct(heard.flatMap(idsOf)), heard.flatMap(idsOf)],
    ['answers', said.flatMap(asked), heard.flatMap(answered)],
    ['messages', upTo(Math.max(0, ...messages.map(({ seq }) => seq))), messages.map(({ seq }) => String(seq))],
    ['cancels', cancelsWanted(prompts), cancelsOf(received)],
  ];
  const found: string[] = [];
  const total = { lost: 0, doubled: 0, reordered: 0 };
  for (const [what, expected, got] of pairs) {
    const difference = compare(expected, got);
    for (const fault of ['lost', 'doubled', 'reordered'] as const) {
      total[fault] += difference[fault].length;
      if (difference[fault].length > 0) found.push(`${what} ${fault}: ${difference[fault].join(', ').slice(0, SHOWN)}`);
    }
  }
  const torn = words.length === streamed.join('').match(WORD)?.length && spoken !== streamed.join('') ? 1 : 0;
  const answers = heard.flatMap((frames) => frames.filter(isAnswer)).map(answerOf);
  const rows = requests.map(({ state, option_id }) => (state === 'ANSWERED' ? option_id : state));
  const wrongAnswers = rows.filter((row, n) => row !== answers[n]).length;
  const ended = messages.filter((one) => kindOf(one) === 'turn_ended').length;
  const results = messages.filter(({ type }) => type === 'result').length;
  const badRuns = runs.filter(({ state }) => state !== 'COMPLETED');
  const badPrompts = prompts.filter(({ state }) => state !== 'COMPLETED' && state !== 'CANCELLED');
  const wrongStarts = Math.abs(facts.starts - attempts.length) + Math.abs(attempts.length - runs.length);
  if (torn) found.push(`${spoken.length} characters were said, ${streamed.join('').length} others are in the stream`);
  if (wrongAnswers) found.push(`the rows say ${rows.join()}, the agent heard ${answers.join()}`);
  if (ended !== prompted.length) found.push(`${ended} ends of ${prompted.length} turns`);
  if (results !== runs.length) found.push(`${results} results of ${runs.length} runs`);
  found.push(...badRuns.map(({ state, failure_code }) => `a run is ${state}: ${failure_code}`));
  found.push(...badPrompts.map(({ state, text }) => `${text.slice(0, SHOWN)} is ${state}`));
  if (wrongStarts) found.push(`${facts.starts} starts in ${attempts.length} attempts of ${runs.length} runs`);
  const wrongEnds = Math.abs(ended - prompted.length) + Math.abs(results - runs.length);
  return {
    finding: {
      ...{ turns: ended, words: words.length, answers: answers.length, ...total, torn },
      ...{ wrong_ends: wrongEnds + badRuns.length + badPrompts.length },
      ...{ wrong_answers: wrongAnswers, wrong_starts: wrongStarts },
    },
    found,
  };
}

/** What is missing, what is there too often, and what stands behind something that should come after it. */
export function compare(
  expected: readonly string[],
  got: readonly string[],
): { lost: string[]; doubled: string[]; reordered: string[] } {
  const places = new Map<string, number[]>();
  for (const [n, one] of expected.entries()) places.set(one, [...(places.get(one) ?? []), n]);
  const doubled: string[] = [];
  const reordered: string[] = [];
  let last = -1;
  for (const one of got) {
    const place = places.get(one)?.shift();
    if (place === undefined) doubled.push(one);
    else if (place < last) reordered.push(one);
    last = Math.max(last, place ?? -1);
  }
  return { lost: [...places].flatMap(([one, left]) => left.map(() => one)), doubled, reordered };
}

/** The prompts that the agent was told to leave, by their numbers in the order in which it got them. */
function cancelsWanted(prompts: Facts['prompts']): string[] {
  const sent = prompts.filter(({ is_sent }) => is_sent);
  return sent.flatMap(({ state }, n) => (state === 'CANCELLED' ? [String(n + 1)] : []));
}

const upTo = (n: number): string[] => Array.from({ length: n }, (_, at) => String(at + 1));
const distinct = (all: readonly string[]): string[] => [...new Set(all)];
const kindOf = ({ data }: Facts['messages'][number]): unknown =>
  (data['metadata'] as { kind?: unknown } | undefined)?.kind;
