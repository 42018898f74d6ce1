import { Catch, Logger, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { toDomainError, toProblem } from './problem.js';

/** The one place where an error becomes an HTTP answer. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly logger = new Logger('Http');

  catch(error: unknown, host: ArgumentsHost): void {
    if (host.getType() !== 'http') throw error;
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    const known = toDomainError(error);
    if (known.kind === 'internal') this.logger.error({ err: error, request_id: request.id }, 'request failed');
    const problem = toProblem(known, request.url.split('?')[0] ?? '/');
    problem['correlation_id'] = request.id;
    if (reply.sent) return;
    const retryAfter = known.details['retry_after_seconds'];
    if (typeof retryAfter === 'number') void reply.header('Retry-After', String(retryAfter));
    if (known.kind === 'unauthenticated') void reply.header('WWW-Authenticate', 'Bearer');
    void reply
      .status(problem.status)
      .header('Content-Type', 'application/problem+json; charset=utf-8')
      .send(JSON.stringify(problem));
  }
}
