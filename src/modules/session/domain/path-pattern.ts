/** Nothing on Linux has a longer path (PATH_MAX): whatever is longer names no file. */
const MAX_PATH = 4_096;
/** What other tools read as sets, choices and negations: here they would mean themselves, which nobody expects. */
const UNCLEAR = /[[\](){}!|\\]/;

/** What is wrong with a pattern, in words that follow its name; undefined when nothing is. */
export function patternProblem(pattern: string): string | undefined {
  if (pattern.startsWith('/')) return 'must not begin with /: paths are seen from the workspace';
  if (UNCLEAR.test(pattern)) return 'must not have [ ] ( ) { } ! | or a backslash: * ? and ** are all there is';
  const names = pattern.split('/');
  if (names.some((name) => name === '' || name === '.' || name === '..'))
    return 'must not have empty names, . or ..: what lies outside the workspace fits no pattern';
  return undefined;
}

/**
 * Whether a path, as seen from the workspace, fits a pattern: `*` and `?` stand for what is in a name, hidden ones too, and
 * `**` for any names. Takes steps by the product of both lengths at most, whoever has thought of them: regular
 * expressions, as libraries make them of such patterns, may take for ever.
 */
export function fitsPattern(pattern: string, path: string): boolean {
  if (path.length > MAX_PATH) return false;
  return fits(pattern.split('/'), path.split('/'), '**', (one, name) =>
    fits(Array.from(one), Array.from(name), '*', (a, b) => a === '?' || a === b),
  );
}

/** `any` stands for any number of items. Only the last one that was passed has to be tried again. */
function fits(
  pattern: readonly string[],
  items: readonly string[],
  any: string,
  isOne: (part: string, item: string) => boolean,
): boolean {
  let [at, item] = [0, 0];
  let [back, from] = [-1, 0];
  for (;;) {
    const part = pattern[at];
    const one = items[item];
    if (part === any) [back, from] = [at++, item];
    else if (one === undefined) return part === undefined;
    else if (part !== undefined && isOne(part, one)) [at, item] = [at + 1, item + 1];
    else if (back === -1) return false;
    else [at, item] = [back + 1, ++from];
  }
}
