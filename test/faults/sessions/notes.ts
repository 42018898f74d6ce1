/** A JSON-RPC frame as an agent has noted it, as far as it matters here. */
export interface Frame {
  id?: number | string | null;
  method?: string;
  params?: {
    prompt?: { type?: string; text?: string }[];
    update?: { sessionUpdate?: string; content?: { type?: string; text?: string } };
    [other: string]: unknown;
  };
  result?: {
    protocolVersion?: unknown;
    outcome?: { optionId?: string; [other: string]: unknown };
    [other: string]: unknown;
  };
}

export function byAttempt(frames: readonly Frame[], begins: (frame: Frame) => boolean): Frame[][] {
  const attempts: Frame[][] = [];
  for (const frame of frames) {
    if (begins(frame) || attempts.length === 0) attempts.push([]);
    attempts.at(-1)?.push(frame);
  }
  return attempts;
}

export const isOf =
  (...methods: string[]) =>
  ({ method }: Frame): boolean =>
    methods.includes(method ?? '');
export const isAnswer = ({ method, result }: Frame): boolean => method === undefined && result !== undefined;
const OPENINGS = ['session/new', 'session/load', 'session/resume'];

/** What it has said of its own: a session that is loaded is repeated before the answer to that. */
export function wordsOf(sent: readonly Frame[], received: readonly Frame[]): string[] {
  const opening = received.find(isOf(...OPENINGS))?.id;
  const from = sent.findIndex(({ id, method }) => method === undefined && id === opening);
  return sent
    .slice(from + 1)
    .filter(({ params }) => params?.update?.sessionUpdate === 'agent_message_chunk')
    .map(({ params }) => String(params?.update?.content?.text));
}

export const promptOf = ({ params }: Frame): string => String(params?.prompt?.[0]?.text);

/** What opens a session in each attempt; whether it is a new one or one of before is the same here. */
export function openings(attempts: number, more: readonly string[]): string[] {
  const authenticate = more.filter((method) => method === 'authenticate');
  const after = more.filter((method) => method !== 'authenticate');
  return Array.from({ length: attempts }, (_, n) =>
    ['initialize', ...authenticate, 'open', ...after].map((method) => `${n} ${method}`),
  ).flat();
}

export function openingOf(received: readonly Frame[], n: number): string[] {
  const known = ['initialize', 'authenticate', ...OPENINGS, 'session/set_mode'];
  return received
    .filter(isOf(...known))
    .map(({ method }) => `${n} ${OPENINGS.includes(method ?? '') ? 'open' : method}`);
}

export const idsOf = (received: readonly Frame[], n: number): string[] =>
  received.filter(({ method, id }) => method !== undefined && id != null).map(({ id }) => `${n} #${id}`);
export const asked = (sent: readonly Frame[], n: number): string[] =>
  sent.filter(isOf('session/request_permission')).map(({ id }) => `${n} #${id}`);
export const answered = (received: readonly Frame[], n: number): string[] =>
  received.filter(isAnswer).map(({ id }) => `${n} #${id}`);
export const answerOf = ({ result }: Frame): string => result?.outcome?.optionId ?? 'CANCELLED';

export function cancelsOf(received: readonly Frame[]): string[] {
  let turn = 0;
  return received.flatMap(({ method }) => {
    if (method === 'session/prompt') turn++;
    return method === 'session/cancel' ? [String(turn)] : [];
  });
}
