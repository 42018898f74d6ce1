import { textProblem } from '../../../common/validation/text.js';
import { patternProblem } from '../domain/path-pattern.js';
import { DECISIONS, TOOL_KINDS, type PolicyRule } from '../domain/permission-policy.js';

export const MAX_RULES = 100;
export const MAX_TOOL_KINDS = 20;
export const MAX_PATHS = 50;
export const PATTERN = { min: 1, max: 200 } as const;
/** Of all rules together: each is compared with each path of each request. */
const MAX_PATTERNS = 500;

const FIELDS = new Set(['decision', 'tool_kinds', 'paths']);

/** What is wrong with the rules of a request, in words that follow the field's name; undefined when nothing is. */
export function rulesProblem(value: unknown): string | undefined {
  if (!Array.isArray(value) || value.length > MAX_RULES) return `must be a list of at most ${MAX_RULES} rules`;
  const index = value.findIndex((rule) => ruleProblem(rule) !== undefined);
  if (index !== -1) return `must be right, but rule ${index + 1} ${ruleProblem(value[index])}`;
  const patterns = (value as PolicyRule[]).reduce((sum, { paths = [] }) => sum + paths.length, 0);
  return patterns > MAX_PATTERNS ? `must have at most ${MAX_PATTERNS} patterns of paths in all` : undefined;
}

function ruleProblem(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'must be an object';
  const { decision, tool_kinds, paths } = value as Record<string, unknown>;
  const unknown = Object.keys(value).find((field) => !FIELDS.has(field));
  if (unknown !== undefined) return `must not have ${unknown.slice(0, 50)}`;
  if (!(DECISIONS as readonly unknown[]).includes(decision)) return `must have a decision of ${DECISIONS.join(', ')}`;
  return (
    listProblem('tool_kinds', tool_kinds, MAX_TOOL_KINDS, kindProblem) ??
    listProblem('paths', paths, MAX_PATHS, (path) => textProblem(path, PATTERN) ?? patternProblem(path as string))
  );
}

function kindProblem(kind: unknown): string | undefined {
  return (TOOL_KINDS as readonly unknown[]).includes(kind) ? undefined : `must be one of ${TOOL_KINDS.join(', ')}`;
}

/** A list that is empty would mean nothing at all, while leaving it out means everything. */
function listProblem(
  field: string,
  value: unknown,
  max: number,
  itemProblem: (item: unknown) => string | undefined,
): string | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value) || value.length === 0 || value.length > max)
    return `must have 1 to ${max} ${field}, or none and no such field`;
  const problem = value.map(itemProblem).find((found) => found !== undefined);
  return problem && `has ${field} of which one ${problem}`;
}
