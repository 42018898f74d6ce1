import { randomUUID } from 'node:crypto';
import { STATUS_CODES, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Config } from '../config/config.js';
import { PROBLEM_TYPE, toDomainError, toProblem, type Problem } from '../errors/problem.js';
import { parseJson } from '../validation/json-text.js';
import { STRICT_HEADERS } from './security-headers.js';

const MAX_BODY_BYTES = 1024 * 1024; // a description is text; anything larger is an attack or a mistake
const MAX_HEADER_BYTES = 16 * 1024; // request line and headers; a token and a long list of filters take 3 KiB
const MAX_PARAM_LENGTH = 200; // of one part of a path: ids have 36 characters, the names of agent types 100
const REQUEST_WITHIN_MS = 60_000; // for all of it to arrive: 1 MiB on a line of 140 kbit/s
const REQUEST_ID = /^[\w.:-]{1,100}$/;

/** The HTTP server: JSON bodies only, everything capped, and whatever it refuses itself refused as a problem. */
export function httpAdapter({ http }: Config): FastifyAdapter {
  const adapter = new FastifyAdapter({
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: REQUEST_WITHIN_MS,
    http: { maxHeaderSize: MAX_HEADER_BYTES, shouldUpgradeCallback: asksForWebSocket },
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    genReqId: correlationId,
    trustProxy: (_address: string, hop: number) => hop < http.trusted_proxies,
    frameworkErrors: refuse,
    clientErrorHandler: hangUp,
  });
  const fastify = adapter.getInstance();
  fastify.removeAllContentTypeParsers(); // plain text among them
  fastify.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body: Buffer, done) => {
    try {
      // Some clients name a type for no body at all; an operation that wants one says so.
      done(null, body.length === 0 ? undefined : parseJson(body));
    } catch (error) {
      done(error as Error);
    }
  });
  return adapter;
}

/** Clients that would rather speak HTTP/2 offer it with each request (Java's own do), and take an answer in HTTP/1.1. */
function asksForWebSocket({ headers: { upgrade } }: IncomingMessage): boolean {
  return upgrade?.toLowerCase() === 'websocket';
}

/** The caller's own correlation id where it is a harmless one, else a new one. */
function correlationId(request: IncomingMessage): string {
  const given = request.headers['x-correlation-id'] ?? request.headers['x-request-id'];
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
}

/** Paths that the router can't read: no hook and no filter sees them. */
function refuse(error: Error, request: FastifyRequest, reply: FastifyReply): void {
  const problem = toProblem(toDomainError(error), '/');
  void reply
    .status(problem.status)
    .headers({ ...STRICT_HEADERS, 'Content-Type': PROBLEM_TYPE, 'X-Correlation-Id': request.id })
    .send(JSON.stringify({ ...problem, correlation_id: request.id }));
}

/** What is no HTTP, or comes too slowly, or has too large headers. Nothing else can be read from this connection. */
function hangUp(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  const status = error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : error.code === 'HPE_HEADER_OVERFLOW' ? 431 : 400;
  const problem: Problem = toProblem(toDomainError({ statusCode: status }), '/');
  const body = JSON.stringify({ ...problem, correlation_id: randomUUID() });
  const headers = { ...STRICT_HEADERS, 'Content-Type': PROBLEM_TYPE, 'Content-Length': Buffer.byteLength(body) };
  const head = Object.entries({ ...headers, Connection: 'close' }).map(([name, value]) => `${name}: ${value}`);
  if (socket.writable) {
    socket.end(`HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\n${head.join('\r\n')}\r\n\r\n${body}`);
  } else socket.destroy(error);
}
