import { AttemptFailure, type FailureCode } from '../../domain/outcome.js';

interface EngineError extends Error {
  statusCode?: number;
  reason?: string;
  code?: string;
  json?: { message?: string };
}

/** HTTP status of the engine's answer, or undefined when it did not answer. */
export function engineStatus(error: unknown): number | undefined {
  return (error as EngineError).statusCode;
}

/** The engine's own words, without the client library's wrapping. */
export function engineMessage(error: unknown): string {
  const { json, message } = error as EngineError;
  return (json?.message ?? message).split('\n')[0]?.slice(0, 500) ?? 'unknown error';
}

/** No answer at all: the engine is down, or we may not talk to it. */
export function isEngineDown(error: unknown): boolean {
  const { code, statusCode } = error as EngineError;
  return (
    statusCode === undefined &&
    code !== undefined &&
    /^(ECONN|ENOENT|EACCES|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENOTFOUND)/.test(code)
  );
}

/** The failure a user reads: what the engine said, or that there is none. */
export function engineFailure(error: unknown, code: FailureCode, what: string): AttemptFailure {
  if (error instanceof AttemptFailure) return error;
  if (isEngineDown(error)) {
    return new AttemptFailure(
      'engine.unavailable',
      'The Docker engine does not answer. Check that it runs and that the server may use its socket (DOCKER_HOST).',
    );
  }
  return new AttemptFailure(code, `${what}: ${engineMessage(error)}`);
}

/** {@link engineFailure} as a user reads it: the engine's words, without paths of this host. */
export type Failures = (error: unknown, code: FailureCode, what: string) => AttemptFailure;

export function failuresWithout(home: string): Failures {
  return (error, code, what) => {
    const { code: known, message } = engineFailure(error, code, what);
    return new AttemptFailure(known, message.replaceAll(home, 'KANDEV_HOME'));
  };
}
