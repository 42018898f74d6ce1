import { textProblem } from './text.js';

/** Wide enough for every branch the column holds. */
const MAX_LENGTH = 255;

/**
 * What is wrong with a branch name, by the rules of `git check-ref-format --branch`; in words that follow its
 * field's name. A leading `-` is refused as well: git would take it for an option.
 */
export function gitBranchProblem(value: unknown): string | undefined {
  const problem = textProblem(value, { min: 1, max: MAX_LENGTH });
  if (problem) return problem;
  const name = value as string;
  if (name.startsWith('-')) return 'must not start with "-"';
  if (/[\x00-\x20\x7f~^:?*[\\]/.test(name))
    return 'must not contain blanks, control characters or any of ~ ^ : ? * [ \\';
  if (name.includes('..') || name.includes('@{')) return 'must not contain ".." or "@{"';
  if (name === '@' || name === 'HEAD') return `must not be ${name}`;
  if (name.endsWith('.')) return 'must not end with "."';
  for (const part of name.split('/')) {
    if (part === '') return 'must not start or end with "/", nor contain "//"';
    if (part.startsWith('.') || part.endsWith('.lock'))
      return 'must not have a part that starts with "." or ends with ".lock"';
  }
  return undefined;
}
