// Splits JavaScript (and most of TypeScript) into tokens: as much grammar as it takes to change one safely.

/** @typedef {{type: 'name' | 'number' | 'string' | 'regex' | 'punctuator', text: string, start: number, end: number}} Token */

/** After these a slash begins a regular expression, and a sign is unary. */
export const KEYWORDS = new Set(
  (
    'await break case catch class const continue default delete do else export extends finally for function if import ' +
    'in instanceof let new of return static switch throw try typeof var void while with yield'
  ).split(' '),
);

const PUNCTUATORS = (
  '>>>= ... === !== **= <<= >>= >>> &&= ||= ??= => == != <= >= && || ?? ?. ++ -- += -= *= /= %= &= |= ^= << >> ** ' +
  '{ } ( ) [ ] ; , < > + - * / % & | ^ ! ~ ? : = . @ #'
).split(' ');
const NAME = /[\p{ID_Start}$_][\p{ID_Continue}$\u200c\u200d]*/uy;
const NUMBER = /0[xX][\da-fA-F_]+n?|0[bB][01_]+n?|0[oO][0-7_]+n?|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?n?/y;
const SKIPPED = /\s+|\/\/[^\n]*|\/\*[^]*?\*\/|^#![^\n]*/y;
const STRING = /'(?:[^'\\\n]|\\[^])*'|"(?:[^"\\\n]|\\[^])*"/y;
const REGEX = /\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y;
/** From a backtick, or from the brace that ends a substitution, to the next substitution or the closing backtick. */
const TEMPLATE = /[`}](?:[^`\\$]|\\[^]|\$(?!\{))*(?:`|\$\{)/y;

/** Whether a value may end with this token, so that what follows is an operator. */
export function endsValue(token) {
  if (!token) return false;
  if (token.type === 'punctuator') return token.text === ')' || token.text === ']' || token.text === '}';
  return token.type !== 'name' || !KEYWORDS.has(token.text);
}

/**
 * @param {string} source
 * @returns {Token[]} without space and comments; what it can't read is skipped a character at a time
 */
export function tokenize(source) {
  /** @type {Token[]} */
  const tokens = [];
  /** Open braces; true where the brace belongs to a substitution of a template. */
  const braces = [];
  let at = 0;
  const match = (pattern) => {
    pattern.lastIndex = at;
    return pattern.exec(source)?.[0];
  };
  const push = (type, text) => {
    tokens.push({ type, text, start: at, end: at + text.length });
    at += text.length;
  };
  while (at < source.length) {
    const skipped = match(SKIPPED);
    if (skipped) {
      at += skipped.length;
      continue;
    }
    const inTemplate = source[at] === '`' || (source[at] === '}' && braces.at(-1) === true);
    const template = inTemplate ? match(TEMPLATE) : undefined;
    if (template) {
      if (template.startsWith('}')) braces.pop();
      if (template.endsWith('${')) braces.push(true);
      push('string', template);
      continue;
    }
    const regex = source[at] === '/' && !endsValue(tokens.at(-1)) ? match(REGEX) : undefined;
    const [type, text] =
      regex !== undefined
        ? ['regex', regex]
        : (firstMatch(match, [
            ['string', STRING],
            ['number', NUMBER],
            ['name', NAME],
          ]) ?? ['punctuator', PUNCTUATORS.find((punctuator) => source.startsWith(punctuator, at))]);
    if (!text) {
      at += 1;
      continue;
    }
    if (text === '{') braces.push(false);
    if (text === '}') braces.pop();
    push(type, text);
  }
  return tokens;
}

function firstMatch(match, patterns) {
  for (const [type, pattern] of patterns) {
    const text = match(pattern);
    if (text) return [type, text];
  }
  return null;
}
