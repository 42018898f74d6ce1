import type { Logger } from '@nestjs/common';
import { toDomainError, toProblem, type Problem } from '../../../common/errors/problem.js';

/** Whatever was thrown, as a problem document for a frame; what nobody expected goes to the log. */
export function socketProblem(error: unknown, instance: string, logger: Logger): Problem {
  const known = toDomainError(error);
  if (known.kind === 'internal') logger.error({ err: error }, 'a request on a socket failed');
  return toProblem(known, instance);
}
