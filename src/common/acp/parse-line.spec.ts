import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_DEPTH } from './sanitize.js';
import { parseLine, parseLines, type OutputLine } from './parse-line.js';

const NOW = new Date('2026-01-09T10:30:00.000Z');
const parse = (text: string | Buffer, more: Partial<OutputLine> = {}) =>
  parseLine({ bytes: Buffer.from(text as string), source: 'stdout', ...more }, NOW);

describe('a line of output', () => {
  it('is a message when it is one, with its own time', () => {
    const line =
      '{"type":"progress","timestamp":"2026-01-09T10:30:15Z","agent_id":"x","task_id":"y","seq":9,"data":{"progress":45}}';
    expect(parse(line)).toEqual({
      type: 'progress',
      timestamp: '2026-01-09T10:30:15.000Z',
      level: null,
      data: { progress: 45 },
    });
  });

  it.each([
    '{"type":"log","data":{"level":"WARNING","message":"m"}}',
    '  {"type":"log","data":{"level":"warn","message":"m"}}\r',
  ])('%j has a level that is known', (line) => expect(parse(line)).toMatchObject({ type: 'log', level: 'warn' }));

  it.each(['1999-12-31T23:59:59Z', '9999-01-01T00:00:00Z', 'yesterday', '', 17])(
    'gets our time for %j',
    (timestamp) => {
      expect(parse(JSON.stringify({ type: 'status', timestamp, data: {} })).timestamp).toBe(NOW.toISOString());
    },
  );

  it.each([
    'plain text',
    '',
    '{',
    '[]',
    'null',
    '17',
    '"text"',
    '{"type":"control"}',
    '{"type":"log","data":[]}',
    '{"data":{}}',
  ])('%j is a log message with the whole line', (line) =>
    expect(parse(line)).toMatchObject({ type: 'log', level: 'info', data: { level: 'info', message: line } }),
  );

  it('from stderr is a warning, and never a message', () => {
    expect(parse('{"type":"result","data":{"status":"completed"}}', { source: 'stderr' })).toMatchObject({
      type: 'log',
      level: 'warn',
    });
  });

  it('keeps its text when it nests too deep', () => {
    const deep = (depth: number) => `{"type":"log","data":${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}}`;
    expect(parse(deep(MAX_DEPTH)).data['a']).toBeDefined();
    expect(parse(deep(MAX_DEPTH + 1)).data['message']).toBe(deep(MAX_DEPTH + 1));
    const hopeless = `{"type":"log","data":{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}}`;
    expect(parse(hopeless).data['message']).toBe(hopeless);
  });

  it('is flagged when something could not be kept', () => {
    expect(parse(Buffer.from([0x61, 0xff, 0x62])).data).toMatchObject({
      message: 'a\uFFFDb',
      metadata: { invalid_utf8: true },
    });
    expect(parse('a\0b').data).toMatchObject({ message: 'a\uFFFDb', metadata: { sanitized: true } });
    expect(parse('{"type":"log","data":{"message":"\\ud800 \\u0000"}}').data).toMatchObject({
      message: '\uFFFD \uFFFD',
      metadata: { sanitized: true },
    });
    expect(parse('piece', { continues: true, continued: true }).data).toMatchObject({
      metadata: { continues: true, continued: true },
    });
  });

  it('keeps odd keys as data', () => {
    const { data } = parse('{"type":"log","data":{"__proto__":{"admin":true},"message":"m"}}');
    expect(Object.hasOwn(data, '__proto__')).toBe(true);
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
  });

  it('of whatever bytes never fails, and is storable', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, stderr) => {
        const { data } = parse(Buffer.from(bytes), { source: stderr ? 'stderr' : 'stdout' });
        const stored = JSON.stringify(data);
        expect(stored.isWellFormed() && !stored.includes('\\u0000') && !/\\ud[89a-f]/i.test(stored)).toBe(true);
      }),
    );
  });

  it('of whatever JSON never fails, and keeps what can be kept', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue({ maxDepth: 5, stringUnit: 'grapheme' })),
        (data) => {
          const parsed = parse(JSON.stringify({ type: 'result', data }));
          expect(parsed.type).toBe('result');
          expect(JSON.stringify(parsed.data)).not.toContain('\\u0000');
        },
      ),
    );
  });

  it.each([
    ['{"type":"log","data":{"n":1e400}}', { n: null, metadata: { sanitized: true } }],
    ['{"type":"log","data":{"a":1,"a":2}}', { a: 2 }],
    ['{"type":"log","data":{"b":1,"a":2,"1":3}}', { 1: 3, b: 1, a: 2 }],
    ['{"type":"log","data":{"\\u0000":1}}', { '\uFFFD': 1, metadata: { sanitized: true } }],
    ['{"type":"log","type":"error","data":{}}', {}],
    ['{"type":"log","data":null}', {}],
    ['{"type":"log"}', {}],
  ])('%s has data that is defined', (line, data) => {
    expect(JSON.stringify(parse(line).data)).toBe(JSON.stringify(data));
  });

  it('may claim to be whose it likes: nothing of it is kept', () => {
    const line = '{"type":"log","seq":1,"task_id":"t","agent_id":"a","run_id":"r","level":"error","data":{"x":1}}';
    expect(Object.keys(parse(line))).toEqual(['type', 'timestamp', 'level', 'data']);
    expect(parse(line)).toMatchObject({ level: 'info', data: { x: 1 } });
  });

  it("is never taken for the server's", () => {
    const status = parse('{"type":"status","data":{"status":"COMPLETED","source":"server"}}');
    expect(status.data).toEqual({ status: 'COMPLETED', source: 'agent' });
    expect(parse('{"type":"status","data":{}}').data).toEqual({ source: 'agent' });
    expect(parse('{"type":"progress","data":{"progress":1,"source":"server"}}').data).toEqual({
      progress: 1,
      source: 'agent',
    });
    expect(parse('{"type":"progress","data":{"source":"mine"}}').data).toEqual({ source: 'mine' });
    expect(parse('{"type":"log","data":{"metadata":{"source":"server"}}}').data).toEqual({
      metadata: { source: 'agent' },
    });
  });

  it('keeps colours, and a carriage return inside', () => {
    expect(parse('\u001b[31mred\u001b[0m 10%\r20%\r').data['message']).toBe('\u001b[31mred\u001b[0m 10%\r20%');
  });

  it('may have a hundred thousand keys', () => {
    const data = Object.fromEntries(Array.from({ length: 100_000 }, (_, n) => [`k${n}`, n]));
    const stored = parse(JSON.stringify({ type: 'result', data }));
    expect(JSON.stringify(stored.data) === JSON.stringify(data)).toBe(true);
  });
});

describe('lines of output', () => {
  it('are what each of them is', () => {
    const line = fc.oneof(
      fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes.filter((byte) => byte !== 10))),
      fc.string({ unit: 'grapheme', maxLength: 20 }).map((text) => Buffer.from(text.replaceAll('\n', ''))),
      fc
        .constantFrom('', '\r', '{}', '{"type":"log","data":{"message":"m\\ud800"}}\r', ' {"type":"error"}', 'a\0b')
        .map((text) => Buffer.from(text)),
    );
    fc.assert(
      fc.property(fc.array(line, { minLength: 1 }), fc.boolean(), fc.boolean(), (lines, stderr, ended) => {
        const source = stderr ? 'stderr' : 'stdout';
        if (!ended && lines.at(-1)!.length === 0) return; // what has neither a byte nor a newline is no line
        const newline = Buffer.from('\n');
        const bytes = Buffer.concat(
          lines.flatMap((one, n) => (ended || n < lines.length - 1 ? [one, newline] : [one])),
        );
        expect(parseLines(bytes, source, NOW)).toEqual(lines.map((one) => parseLine({ bytes: one, source }, NOW)));
      }),
    );
  });
});
