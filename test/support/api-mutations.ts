import fc, { type Arbitrary } from 'fast-check';

const deep = (depth: number): unknown => Array.from({ length: depth }).reduce((inside) => ({ a: inside }), null);

/** Values that something somewhere may trip over. */
const NASTY: readonly unknown[] = [
  ...[null, true, false, 0, -0, -1, 1.5, 11, 2 ** 31, 2 ** 53, 1e308, -1e308, 5e-324],
  ...['', ' ', '\0', 'a\0b', '\ud800', 'a\udfff', '\u202e', '💥'.repeat(300), 'x'.repeat(70_000), 'x'.repeat(501)],
  ...['0', '5', '-1', '1e3', 'true', 'null', 'NaN', 'undefined', '[object Object]', '__proto__', 'constructor'],
  ...["'; drop table tasks; --", '%', '%s%n', '%00', '${7*7}', '{{7*7}}', '../../../../etc/passwd', 'a\r\nX-Evil: 1'],
  ...['2026-13-45T25:61:61Z', '0000-00-00T00:00:00.000Z', '2026-01-09', '+275760-09-13T00:00:00.001Z'],
  ...['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'file:///etc/passwd'],
  ...['ext::sh -c id', '--upload-pack=id', 'http://169.254.169.254/', 'a@b', '<script>', '\u{1F3F4}\u{E0067}'],
  ...[[], [[]], [null], ['x', 5], [{}], Array.from({ length: 1001 }, (_, index) => index), {}, { a: 1 }],
  ...[
    { toString: 1 },
    { length: 3 },
    { $ne: null },
    JSON.parse('{"then": 1}'),
    deep(31),
    deep(40),
    deep(300),
    [deep(12)],
  ],
  JSON.parse('{"__proto__": {"admin": true}}'),
  JSON.parse('{"constructor": {"prototype": {"admin": true}}}'),
];
const nasty = fc.constantFrom(...NASTY);

const FIELDS = [
  ...['id', 'owner_id', 'role', 'state', 'version', 'created_by', 'assigned_agent_id', 'user_id', 'board_id'],
  ...['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'then', '', '\0', 'x'.repeat(5000), 'a.b'],
];

/** Bodies that are no JSON objects at all, or no JSON. */
const RAW_BODIES: readonly (string | Buffer)[] = [
  ...['', ' ', '{', '}', 'null', 'true', '0', '"x"', '[]', '[{}]', 'NaN', '{"a":1,}', "{'a':1}", '{"a":1}{"b":2}'],
  ...['\ufeff{}', '{"priority":1e999}', '{"title":"\\ud800"}', '{"a":"\u0000"}', '{"title":1,"title":"x"}'],
  ...['{"__proto__":{"role":"admin"}}', '{"\\u005f_proto__":{}}', '['.repeat(100_000), '{"a":'.repeat(50_000)],
  ...[
    `{"name":${'['.repeat(5000)}${']'.repeat(5000)}}`,
    `{"metadata":{${Array.from({ length: 20_000 }, (_, key) => `"${key}":0`).join()}}}`,
  ],
  ...[Buffer.from([0xff, 0xfe, 0x7b]), Buffer.from('{"title":"\xff"}', 'latin1'), `{"a":"${'x'.repeat(1_100_000)}"}`],
];

/** One or two wrong things done to a body. */
export function mutatedBody(valid: Arbitrary<unknown>): Arbitrary<string | Buffer> {
  const change = fc.record({
    what: fc.constantFrom('replace', 'replace', 'replace', 'drop', 'add', 'wrap', 'inside'),
    at: fc.nat(),
    value: nasty,
    name: fc.constantFrom(...FIELDS),
  });
  const changed = fc
    .tuple(valid, fc.array(change, { minLength: 1, maxLength: 2 }))
    .map(([body, changes]) => JSON.stringify(changes.reduce(applyChange, body)));
  return fc.oneof({ weight: 6, arbitrary: changed }, { weight: 1, arbitrary: fc.constantFrom(...RAW_BODIES) });
}

interface Change {
  what: string;
  at: number;
  value: unknown;
  name: string;
}

function applyChange(body: unknown, { what, at, value, name }: Change): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return value;
  const names = Object.keys(body);
  const field = names[at % Math.max(names.length, 1)];
  const copy = Object.fromEntries(Object.entries(body));
  if (what === 'add' || field === undefined) return withField(copy, name, value);
  if (what === 'drop') delete copy[field];
  else if (what === 'wrap') copy[field] = [copy[field]];
  else if (what === 'inside') copy[field] = applyChange(copy[field], { what: 'replace', at, value, name });
  else copy[field] = value;
  return copy;
}

/** Also fields that assignment would not make, such as `__proto__`. */
function withField(target: object, name: string, value: unknown): object {
  return Object.defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true });
}

/** Segments of a path, as they are sent. */
export const wrongId = fc.constantFrom(
  ...[
    '0',
    '-1',
    '1',
    'null',
    'undefined',
    '%00',
    '%0a',
    '%20',
    '..',
    '%2e%2e%2f',
    '%2F',
    '%252F',
    '..%2f..%2fetc%2fpasswd',
  ],
  ...[
    '%ED%A0%80',
    '%c0%af',
    '%ff',
    '%',
    '%zz',
    'x'.repeat(300),
    '%F0%9F%92%A5',
    ';a=b',
    '019ac1a5',
    '*',
    '$',
    '[]',
    '{}',
  ],
  ...[
    '00000000-0000-0000-0000-000000000000',
    'ffffffff-ffff-ffff-ffff-ffffffffffff',
    '019ac1a5-7c1e-7000-8000-00000000000g',
  ],
  ...[
    '019ac1a5-7c1e-7000-8000-000000000000%00',
    '%7b019ac1a5-7c1e-7000-8000-000000000000%7d',
    '019ac1a57c1e70008000000000000000',
  ],
);

const wrongValue = fc.constantFrom(
  ...[
    '',
    '%20',
    '0',
    '-1',
    '201',
    '1.5',
    '1e2',
    '%00',
    '%ff',
    'x'.repeat(3000),
    'null',
    'NaN',
    'true',
    '9999999999999999999',
  ],
  ...[
    'TODO,',
    ',',
    'TODO,TODO',
    '2026-13-45',
    '%F0%9F%92%A5',
    '%25',
    '%27%3B--',
    '%5C',
    '*',
    '%ED%A0%80',
    'MjA',
    '-created_at',
  ],
);

/** Query strings for parameters of these names: repeated, nested, empty, unknown. */
export function mutatedQuery(names: readonly string[]): Arbitrary<string> {
  const name = fc.constantFrom(...names, 'unknown', '__proto__', 'constructor', 'toString', '', 'limit', 'cursor');
  const form = fc.constantFrom('', '', '', '', '[]', '[a]', '[__proto__]', '.a');
  const pair = fc.tuple(name, form, wrongValue).map(([key, suffix, value]) => `${key}${suffix}=${value}`);
  return fc.oneof(
    { weight: 6, arbitrary: fc.array(pair, { minLength: 1, maxLength: 3 }).map((pairs) => pairs.join('&')) },
    {
      weight: 1,
      arbitrary: fc.constantFrom('=', '&', '?', '&&&===', '%', 'limit', 'limit&limit', '#', 'a'.repeat(6000)),
    },
  );
}

/** Headers that the API reads, with values it can't like. */
export const wrongHeaders: Arbitrary<Record<string, string>> = fc.constantFrom<Record<string, string>>(
  ...['*', '"1"', 'W/"1"', '', '"', 'x', '"99999999999"', '"1","2"', `"${'1'.repeat(5000)}"`].map((tag) => ({
    'if-match': tag,
  })),
  ...['', ' ', 'a b', 'x'.repeat(300), '\u00fc', 'a'].map((key) => ({ 'idempotency-key': key })),
  ...[
    'text/plain',
    'application/json; charset=utf-16',
    'APPLICATION/JSON',
    'application/json;',
    'x',
    'application/xml',
  ].map((type) => ({ 'content-type': type })),
  ...['gzip', 'br', 'x'].map((encoding) => ({ 'content-encoding': encoding })),
  ...['application/xml', 'image/*;q=x', ''].map((accept) => ({ accept })),
  ...['a\tb', 'x'.repeat(2000), '../..'].map((id) => ({ 'x-correlation-id': id })),
  { 'x-http-method-override': 'DELETE' },
  { 'x-forwarded-for': "'; drop table users; --" },
  { range: 'bytes=5-1' },
);
