import type { OpenApi, Operation } from './openapi.js';
import type { RawAnswer } from './raw-http.js';

/** Of our inside, which no answer shows: stacks, SQL, files. */
const INSIDE =
  /\bat .{1,80}\.[jt]s:\d|node_modules|\b(select|insert into|update|delete from) "|\/dist\/src|\.kandev\/|PostgreSQL/i;

interface Expected {
  /** The request is one that the document allows, for somebody who may. */
  valid: boolean;
  /** Statuses besides success that a valid request may get, by the state of things. */
  also?: readonly number[];
  /** An id or the address was made unreadable, so that it may be no address of ours at all. */
  astray?: boolean;
}

/** What is wrong with an answer by the document; nothing when it is as it should be. */
export function faultsOf(api: OpenApi, operation: Operation, answer: RawAnswer, expected: Expected): string[] {
  const { status, media, text, json } = answer;
  const faults: string[] = [];
  const isSuccess = status >= 200 && status < 300;
  if (status >= 500 && status !== 501) faults.push('the server failed');
  if (expected.valid && !isSuccess && !expected.also?.includes(status)) faults.push('a valid request is refused');
  if (!isSuccess && INSIDE.test(text)) faults.push('the answer tells of the inside');
  if (answer.headers['x-powered-by'] !== undefined) faults.push('X-Powered-By is sent');
  const response = operation.responses[status];
  const isElsewhere = expected.astray && (json as { code?: string } | undefined)?.code === 'route.not_found';
  if (isElsewhere) return faults;
  if (!response) return [...faults, 'the status is not documented'];
  if (!isSuccess || response.content) {
    const isJson = media.endsWith('json') && media !== 'application/x-ndjson'; // which is a text of many
    if (json === undefined && isJson) return [...faults, 'the body is empty'];
    if (isSuccess && !isJson) {
      if (!response.content?.[media]) faults.push(`${media} is not documented`);
    } else faults.push(...api.problemsOf(operation, status, media, json));
  } else if (text !== '') faults.push('a body where none is documented');
  if (!isSuccess) {
    const { code, status: told, errors } = (json ?? {}) as { code?: string; status?: number; errors?: unknown[] };
    if (told !== status) faults.push(`the problem says ${told}`);
    if (code === 'request.invalid' && !errors?.length) faults.push('no field is named');
  }
  return faults;
}
