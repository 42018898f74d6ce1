import { applyDecorators } from '@nestjs/common';
import { ApiExtraModels, ApiResponse, getSchemaPath } from '@nestjs/swagger';
import { ProblemDto } from './problem.dto.js';

const MEANING: Readonly<Record<number, string>> = {
  400: 'The request is malformed or has wrong fields',
  401: 'No valid access token',
  403: 'Your role does not allow this',
  404: 'It does not exist, or it is not yours to see',
  409: 'It conflicts with the present state',
  412: 'It has changed since the version in If-Match',
  413: 'The body is too large',
  415: 'The body is not JSON',
  429: 'Too many requests; see Retry-After',
  501: 'Not supported here',
  503: 'Something the server depends on is down',
};

/** Codes that an operation gives with a status, where naming them helps: `[409, 'task.run_live']`. */
type Documented = number | readonly [status: number, ...codes: string[]];

/** Documents the error answers of an operation. Every operation can give 500 besides. */
export function ApiProblems(...problems: Documented[]): MethodDecorator {
  const all = [
    ...problems.map((problem) => (typeof problem === 'number' ? ([problem] as const) : problem)),
    [500] as const,
  ];
  return applyDecorators(
    ApiExtraModels(ProblemDto),
    ...all.map(([status, ...codes]) =>
      ApiResponse({
        status,
        description: `${MEANING[status] ?? 'The server failed'}${codes.length > 0 ? `: ${codes.map((code) => `\`${code}\``).join(', ')}` : ''}.`,
        content: { 'application/problem+json': { schema: { $ref: getSchemaPath(ProblemDto) } } },
      }),
    ),
  );
}
