import type { Problem } from './generated/types.gen.js';

/** An answer of the server that is an error. Match on {@link code}, never on the texts. */
export class KandevError extends Error {
  override readonly name = 'KandevError';

  constructor(
    readonly status: number,
    /** The whole answer; what a proxy in between says instead comes as one with the code `http.<status>`. */
    readonly problem: Problem,
    /** Seconds to wait before the next try, where the server names them. */
    readonly retry_after: number | null,
  ) {
    super(`${problem.code}: ${problem.detail}`);
  }

  /** Stable and for machines, such as `task.not_found`. */
  get code(): string {
    return this.problem.code;
  }

  /** The wrong fields of a request that was refused as invalid. */
  get errors(): { field: string; message: string }[] {
    return this.problem.errors ?? [];
  }
}

/** @internal What the generated code throws is the body; here it gets its status. */
export function toKandevError(body: unknown, response: Response | undefined): unknown {
  if (response === undefined) return body; // no answer at all: fetch's own error says why
  const { status, statusText, headers, url } = response;
  const problem: Problem = isProblem(body)
    ? body
    : {
        type: 'about:blank',
        title: statusText,
        status,
        detail: typeof body === 'string' && body !== '' ? body.slice(0, 200) : statusText,
        instance: url === '' ? '/' : new URL(url).pathname,
        code: `http.${status}`,
        correlation_id: headers.get('x-correlation-id') ?? '',
      };
  const retryAfter = headers.get('retry-after');
  return new KandevError(status, problem, retryAfter === null ? null : Number(retryAfter));
}

function isProblem(body: unknown): body is Problem {
  return typeof body === 'object' && body !== null && 'code' in body && 'detail' in body;
}
