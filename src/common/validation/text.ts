/** Whether PostgreSQL can store the text: no NUL, no half of a surrogate pair. */
export function isStorableText(value: string): boolean {
  return !value.includes('\0') && value.isWellFormed();
}

/** Length in characters (code points), which is how PostgreSQL counts `varchar(n)`. */
export function countCharacters(value: string): number {
  let count = 0;
  for (const _ of value) count++;
  return count;
}

export interface TextRules {
  /** Characters, 0 when absent. */
  min?: number;
  /** Characters, no limit when absent. */
  max?: number;
  pattern?: RegExp;
  /** Says what the pattern wants: "must …". */
  pattern_message?: string;
}

/** What is wrong with a text, in words that follow the name of its field; undefined when nothing is. */
export function textProblem(
  value: unknown,
  { min = 0, max, pattern, pattern_message }: TextRules = {},
): string | undefined {
  if (typeof value !== 'string') return 'must be a text';
  // A character is at most two code units, so a text far too long needs no counting.
  const length = max !== undefined && value.length > max * 2 ? Infinity : countCharacters(value);
  if (length < min) return min === 1 ? 'must not be empty' : `must have at least ${min} characters`;
  if (max !== undefined && length > max) return `must have at most ${max} characters`;
  if (!isStorableText(value)) return 'must not contain NUL or broken characters (lone surrogates)';
  if (pattern && !pattern.test(value)) return pattern_message ?? `must match ${pattern.source}`;
  return undefined;
}
