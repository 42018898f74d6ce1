import { Catch, Logger, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ErrorKind } from './domain-error.js';
import { FailureLimit } from '../rate-limit/failure-limit.js';
import { PROBLEM_TYPE, toDomainError, toProblem } from './problem.js';

/** What the caller can't help is not counted against them. */
const OURS: ReadonlySet<ErrorKind> = new Set(['internal', 'unavailable', 'unsupported']);

/** The one place where an error becomes an HTTP answer. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly logger = new Logger('Http');

  constructor(private readonly failures: FailureLimit) {}

  catch(error: unknown, host: ArgumentsHost): Promise<void> {
    if (host.getType() !== 'http') throw error;
    return this.answer(error, host);
  }

  private async answer(error: unknown, host: ArgumentsHost): Promise<void> {
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    const own = toDomainError(error);
    const known = OURS.has(own.kind) ? own : ((await this.failures.refusal(request, reply)) ?? own);
    if (known.kind === 'internal') this.logger.error({ err: error, request_id: request.id }, 'request failed');
    const problem = toProblem(known, request.url.split('?')[0] ?? '/');
    problem['correlation_id'] = request.id;
    if (reply.sent) return;
    const retryAfter = known.details['retry_after_seconds'];
    if (typeof retryAfter === 'number') void reply.header('Retry-After', String(retryAfter));
    if (known.kind === 'unauthenticated') void reply.header('WWW-Authenticate', 'Bearer');
    void reply.status(problem.status).header('Content-Type', PROBLEM_TYPE).send(JSON.stringify(problem));
  }
}
