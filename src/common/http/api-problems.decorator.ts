import { applyDecorators } from '@nestjs/common';
import { ApiExtraModels, ApiResponse, getSchemaPath } from '@nestjs/swagger';
import { GENERAL_CODES, MEANING } from './problem-codes.js';
import { ProblemDto } from './problem.dto.js';

/** Codes that an operation gives with a status: `[409, 'task.run_live']`; a bare status has the general ones only. */
type Documented = number | readonly [status: number, ...codes: string[]];

/**
 * Documents the error answers of an operation. 429 and 500 come by themselves, and so does what follows from the
 * operation's security, body and headers (see `completeProblems`).
 */
export function ApiProblems(...problems: Documented[]): MethodDecorator {
  const codes = new Map<number, string[]>();
  for (const [status, ...own] of [...problems, 429, 500].map((problem) => [problem].flat() as [number, ...string[]])) {
    codes.set(status, [...(codes.get(status) ?? []), ...own]);
  }
  return applyDecorators(
    ApiExtraModels(ProblemDto),
    ...[...codes].map(([status, own]) => ApiResponse({ status, ...problemResponse(status, own) })),
  );
}

/** The response of an OpenAPI document for a status: a Problem with one of the codes. */
export function problemResponse(status: number, own: readonly string[]) {
  const codes = [...new Set([...(GENERAL_CODES[status] ?? []), ...own])];
  const named = codes.map((code) => `\`${code}\``).join(', ');
  const problem = { $ref: getSchemaPath(ProblemDto) };
  const narrowed = { type: 'object', required: ['code'], properties: { code: { type: 'string', enum: codes } } };
  return {
    description: `${MEANING[status] ?? 'Refused'}${named ? `: ${named}` : ''}.`,
    content: {
      'application/problem+json': { schema: codes.length > 0 ? { allOf: [problem, narrowed] } : problem },
    },
  };
}
