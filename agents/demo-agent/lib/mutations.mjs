// Small changes to a source file, each of which undoes a slip that people make.
import { endsValue, KEYWORDS, tokenize } from './tokens.mjs';

/**
 * @typedef {{start: number, end: number, replacement: string, rank: number}} Mutation
 * Replace the source from `start` to `end`. A lower `rank` is a likelier slip.
 */

const OPERATORS = {
  '<': [1, '<=', '>'],
  '<=': [1, '<', '>='],
  '>': [1, '>=', '<'],
  '>=': [1, '>', '<='],
  '===': [2, '!=='],
  '!==': [2, '==='],
  '==': [2, '!='],
  '!=': [2, '=='],
  '&&': [2, '||'],
  '||': [2, '&&', '??'],
  '??': [4, '||'],
  '+': [2, '-', '*'],
  '-': [2, '+'],
  '*': [2, '/', '+'],
  '/': [2, '*'],
  '%': [3, '/'],
  '**': [3, '*'],
  '+=': [2, '-=', '='],
  '-=': [2, '+='],
  '*=': [3, '/=', '+='],
  '/=': [3, '*='],
  '<<': [4, '>>'],
  '>>': [4, '<<', '>>>'],
  '&': [4, '|'],
  '|': [4, '&'],
  '++': [5, '--'],
  '--': [5, '++'],
};
const WORDS = { true: [2, 'false'], false: [2, 'true'], break: [5, 'continue'], continue: [5, 'break'] };
const METHODS = pairs(
  'min max, floor ceil, floor round, ceil round, push unshift, pop shift, some every, startsWith endsWith, ' +
    'indexOf lastIndexOf, toUpperCase toLowerCase, trimStart trimEnd, padStart padEnd, keys values, reduce reduceRight',
);

function pairs(list) {
  const table = new Map();
  for (const pair of list.split(', ')) {
    const [left, right] = pair.split(' ');
    table.set(left, [...(table.get(left) ?? []), right]);
    table.set(right, [...(table.get(right) ?? []), left]);
  }
  return table;
}

/**
 * @param {string} source
 * @returns {Mutation[]} in the order of the source
 */
export function mutationsOf(source) {
  const tokens = tokenize(source);
  return tokens.flatMap((token, index) => {
    const replace = (rank, replacement) => ({ start: token.start, end: token.end, replacement, rank });
    switch (token.type) {
      case 'number':
        return neighbours(token.text).map((text) => replace(tokens[index - 1]?.text === '[' ? 1 : 2, text));
      case 'name':
        return wordMutations(tokens, index, replace);
      case 'punctuator':
        return [...operatorMutations(tokens, index, replace), ...structureMutations(source, tokens, index)];
      case 'string':
      case 'regex':
      default:
        return [];
    }
  });
}

/** One more and one less than a whole number. */
function neighbours(text) {
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(Number(text) + 1)) return [];
  const value = Number(text);
  return value === 0 ? ['1', '-1'] : [String(value - 1), String(value + 1)];
}

function wordMutations(tokens, index, replace) {
  const { text } = tokens[index];
  const before = tokens[index - 1]?.text;
  const after = tokens[index + 1]?.text;
  if (before === '.' || before === '?.') {
    const methods = (METHODS.get(text) ?? []).map((method) => replace(3, method));
    const last = text === 'length' && !['=', '++', '--', '-'].includes(after ?? '') ? [replace(3, 'length - 1')] : [];
    return [...methods, ...last];
  }
  const [rank, ...words] = after !== ':' && Object.hasOwn(WORDS, text) ? WORDS[text] : [0];
  return words.map((word) => replace(rank, word));
}

function operatorMutations(tokens, index, replace) {
  const { text } = tokens[index];
  const [before, after] = [tokens[index - 1], tokens[index + 1]];
  if (text === '!' && !endsValue(before)) return [replace(3, '')];
  if (!Object.hasOwn(OPERATORS, text)) return [];
  // A sign before a value is no operator, and arithmetic on a text literal is no slip.
  const isStep = text === '++' || text === '--';
  if (!isStep && !endsValue(before)) return [];
  const onText = before?.type === 'string' || after?.type === 'string';
  if (onText && '+-*/%'.includes(text)) return [];
  const [rank, ...operators] = OPERATORS[text];
  return operators.map((operator) => replace(rank, operator));
}

/** Changes of more than one token: two operands or arguments swapped, the neighbouring element, `=` for `+=`. */
function structureMutations(source, tokens, index) {
  const token = tokens[index];
  const change = (from, to, replacement, rank) => ({ start: from.start, end: to.end, replacement, rank });
  const text = (from, to) => source.slice(from.start, to.end);
  if (token.text === '-' || token.text === '/' || token.text === '%') {
    const [left, right] = [chain(tokens, index - 1, -1), chain(tokens, index + 1, 1)];
    if (!left || !right) return [];
    const swapped = `${text(right.first, right.last)} ${token.text} ${text(left.first, left.last)}`;
    return [change(left.first, right.last, swapped, 3)];
  }
  const [a, comma, b, close] = tokens.slice(index + 1, index + 5);
  const before = tokens[index - 1];
  if (token.text === '(' && comma?.text === ',' && close?.text === ')' && isAtom(a) && isAtom(b)) {
    const isCall = before?.type === 'name' && !KEYWORDS.has(before.text) && tokens[index - 2]?.text !== 'function';
    return isCall && a.text !== b.text ? [change(a, b, `${b.text}, ${a.text}`, 3)] : [];
  }
  if (token.text === '[' && endsValue(before) && a?.type === 'name' && comma?.text === ']') {
    return [change(a, a, `${a.text} - 1`, 3), change(a, a, `${a.text} + 1`, 3)];
  }
  const startsStatement = [';', '{', '}', ')'].includes(tokens[index - 2]?.text ?? ';');
  if (token.text === '=' && before?.type === 'name' && startsStatement) return [change(token, token, '+=', 4)];
  return [];
}

function isAtom(token) {
  return token?.type === 'number' || token?.type === 'string' || (token?.type === 'name' && !KEYWORDS.has(token.text));
}

/** The operand `a.b.c`, `a` or `1` that begins or ends at `index`, whichever way `step` goes; null if it is anything else. */
function chain(tokens, index, step) {
  if (!isAtom(tokens[index])) return null;
  let end = index;
  while (tokens[end + step]?.text === '.' && isAtom(tokens[end + 2 * step])) end += 2 * step;
  const beyond = tokens[end + step]?.text ?? ';';
  if ((step > 0 ? ['(', '[', '.', '?.', '**', '*', '/', '%'] : ['.', '?.', '**', '*', '/', '%']).includes(beyond))
    return null;
  return step > 0 ? { first: tokens[index], last: tokens[end] } : { first: tokens[end], last: tokens[index] };
}
