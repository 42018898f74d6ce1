import { TITLE } from '../../errors/problem.js';
import { problemResponse } from '../api-problems.decorator.js';
import { AGENT_KEY_CODE, SESSION_CODE, TOKEN_CODES } from '../problem-codes.js';
import type { Operation, Response } from './document-types.js';

const PROBLEM = 'application/problem+json';

/** Where the client stands with its limit: with every answer but those of public documents. */
export const RATE_LIMIT_HEADERS: Readonly<Record<string, object>> = {
  'RateLimit-Limit': { description: 'Requests in a minute.', schema: { type: 'integer', minimum: 1 } },
  'RateLimit-Remaining': { description: 'How many of them are left.', schema: { type: 'integer', minimum: 0 } },
  'RateLimit-Reset': { description: 'Seconds until all of them are.', schema: { type: 'integer', minimum: 1 } },
  'Retry-After': { description: 'Seconds to wait before the next try.', schema: { type: 'integer', minimum: 1 } },
};

/**
 * Adds the error answers that follow from what else the document says of the operation, and what they carry. With
 * `readsBody` also those to a body that can't be read, which is read before anybody asks whether it is wanted.
 */
export function completeProblems(operation: Operation, readsBody: boolean): void {
  const { security = [], parameters = [], responses } = operation;
  const add = (status: number, ...codes: string[]) => {
    responses[status] = problemResponse(status, [...codesOf(responses[status]), ...codes]);
  };
  const takes = (header: string) =>
    parameters.some((parameter) => parameter.in === 'header' && parameter.name === header);

  if (parameters.length > 0 || readsBody) add(400);
  if (readsBody) {
    add(413);
    add(415);
  }
  if (security.length > 0) {
    add(401, ...TOKEN_CODES);
    add(403, AGENT_KEY_CODE);
  }
  if (takes('Idempotency-Key')) add(409, 'idempotency.key_reused');
  if (takes('If-Match')) add(412, 'precondition.stale');
  add(429);
  add(500);
  for (const [status, response] of Object.entries(responses)) response.headers = headersOf(status, response);
}

/** Whether a key of a script is refused: the operation asks for a sign-in. */
export function asksForSession({ responses }: Operation): boolean {
  return codesOf(responses[403]).includes(SESSION_CODE);
}

/** The codes that a response of {@link problemResponse} lists. */
export function codesOf(response: Response | undefined): string[] {
  const narrowed = response?.content?.[PROBLEM]?.schema?.allOf?.[1]?.properties?.['code']?.enum;
  return (narrowed as string[] | undefined) ?? [];
}

function headersOf(status: string, { headers }: Response): Record<string, object> | undefined {
  if (!/^2|429/.test(status)) return headers;
  const names = Object.keys(RATE_LIMIT_HEADERS).filter((name) => name !== 'Retry-After' || status === '429');
  return { ...headers, ...Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }])) };
}

/** An example of each code, to which the responses refer. */
export function problemExamples(operations: Operation[]): Record<string, { value: object }> {
  const examples: Record<string, { value: object }> = {};
  for (const { responses } of operations) {
    for (const [status, response] of Object.entries(responses)) {
      const codes = codesOf(response);
      for (const code of codes) examples[code] ??= { value: example(Number(status), code) };
      const media = response.content?.[PROBLEM];
      if (!media || codes.length === 0) continue;
      media.examples = Object.fromEntries(codes.map((code) => [code, { $ref: `#/components/examples/${code}` }]));
    }
  }
  return examples;
}

function example(status: number, code: string): object {
  return {
    type: `urn:kandev:problem:${code}`,
    title: TITLE[status] ?? 'Error',
    status,
    detail: 'What is wrong, and what to do about it.',
    instance: '/api/v1/boards',
    code,
    correlation_id: '3f0f9e6a-1c55-4b0e-9c4c-2f6a3b1d7e10',
    ...(code === 'request.invalid' ? { errors: [{ field: 'title', message: 'must not be empty' }] } : {}),
  };
}
