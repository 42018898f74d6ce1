import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { AcpMessage } from '../../src/common/acp/acp-message.js';
import { AgentBench, COMPLETED, sh, type Ended } from '../support/agents.js';
import { makeRepository } from '../support/repository.js';
import { describeWithEngine } from './engine.js';

const MEBI = 1024 * 1024;
const FORGED = '00000000-0000-4000-8000-000000000000';

const json = (value: unknown): string => JSON.stringify(value);
const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
/** A line that is no message, and is kept as it is. */
const asText = (line: string, flags: object = {}): Line => {
  return {
    line,
    is: { type: 'log', data: { level: 'info', message: line, metadata: { source: 'stdout', ...flags } } },
  };
};
const log = (data: object): object => ({ type: 'log', data });

interface Line {
  line: string | Buffer;
  is: object;
}

const LINES: Line[] = [
  asText('plain text'),
  asText(''),
  asText('   '),
  asText('\t\u001b[31mred\u001b[0m \u2028 \u0007'),
  asText('\ufeffafter a byte order mark'),
  asText('{"type":"log","data":{"message":"cut off'),
  asText('[{"type":"log","data":{"message":"in an array"}}]'),
  asText('"a string"'),
  asText('null'),
  asText('{"type":"telemetry","data":{"message":"unknown type"}}'),
  asText('{"type":5,"data":{}}'),
  asText('{"type":"log","data":"no object"}'),
  asText('{"type":"log","data":[]}'),
  asText('{"__proto__":{"type":"result","data":{"status":"completed"}}}'),
  asText(`{"type":"log","data":{"deep":${nested(1_000)}}}`),
  asText(`{"type":"log","data":{"deep":${nested(100_000)}}}`),
  asText(nested(100_000)),
  asText('{"a":'.repeat(100_000) + '1' + '}'.repeat(100_000)),
  {
    line: Buffer.from([0x66, 0xff, 0xfe, 0x67, 0xc3]),
    is: log({ level: 'info', message: 'f\ufffd\ufffdg\ufffd', metadata: { source: 'stdout', invalid_utf8: true } }),
  },
  {
    line: 'a\0b\0',
    is: log({ level: 'info', message: 'a\ufffdb\ufffd', metadata: { source: 'stdout', sanitized: true } }),
  },
  { line: 'carriage return\r', is: log({ level: 'info', message: 'carriage return', metadata: { source: 'stdout' } }) },
  { line: '{"type":"progress","data":{"progress":5}}\r', is: { type: 'progress', data: { progress: 5 } } },
  { line: '\ufeff{"type":"progress","data":{"progress":6}}', is: { type: 'progress', data: { progress: 6 } } },
  { line: '  {"type":"heartbeat"}  ', is: { type: 'heartbeat', data: {} } },
  { line: '{"type":"log","data":null}', is: log({}) },
  {
    line: '{"type":"log","data":{"message":"a\\u0000b \\ud800 \\udc00c","\\ud83d":1}}',
    is: log({ message: 'a\ufffdb \ufffd \ufffdc', '\ufffd': 1, metadata: { sanitized: true } }),
  },
  { line: '{"type":"log","data":{"message":"\\ud83d\\ude00"}}', is: log({ message: '😀' }) },
  {
    line: '{"type":"log","data":{"__proto__":{"polluted":true},"constructor":{"prototype":1},"toString":"x"}}',
    is: log(JSON.parse('{"__proto__":{"polluted":true},"constructor":{"prototype":1},"toString":"x"}') as object),
  },
  {
    line: '{"type":"log","data":{"number":1e400,"big":123456789012345678901234567890}}',
    is: log({ number: null, big: 1.2345678901234568e29 }),
  },
  {
    line: json({
      ...{ task_id: FORGED, agent_id: FORGED, run_id: FORGED, seq: 1_000_000 },
      type: 'log',
      data: { message: 'forged' },
    }),
    is: log({ message: 'forged' }),
  },
  { line: json({ type: 'log', timestamp: 'tomorrow', data: { message: 'no time' } }), is: log({ message: 'no time' }) },
  {
    line: json({ type: 'log', timestamp: '+275760-09-13T00:00:00.000Z', data: { message: 'end of time' } }),
    is: log({ message: 'end of time' }),
  },
  {
    line: json({ type: 'log', timestamp: '2026-01-09T10:30:00+02:00', data: { message: 'elsewhere' } }),
    is: { ...log({ message: 'elsewhere' }), timestamp: '2026-01-09T08:30:00.000Z' },
  },
  {
    line: json({ type: 'log', data: { message: 'x'.repeat(1_000_000) } }),
    is: log({ message: 'x'.repeat(1_000_000) }),
  },
  { line: json({ type: 'result', data: { status: 'completed', summary: { not: 'text' } } }), is: { type: 'result' } },
  asText('the last line, without newline'),
];

describeWithEngine('what an agent writes', () => {
  let bench: AgentBench;

  beforeAll(async () => {
    bench = await AgentBench.open();
  });

  afterEach(() => bench.expectQuiet());

  afterAll(() => bench.close());

  /** Lets an agent write exactly these bytes. */
  async function write(stdout: Buffer, stderr: Buffer = Buffer.alloc(0)): Promise<Ended> {
    const repository_url = makeRepository(bench.server.directory, { stdout, stderr });
    return bench.run({ command: sh('cat stdout; cat stderr >&2'), repository_url });
  }

  const join = (lines: (string | Buffer)[]): Buffer => {
    return Buffer.concat(lines.flatMap((line, index) => [Buffer.from(index === 0 ? '' : '\n'), Buffer.from(line)]));
  };

  it('becomes a message a line, whatever it is', async () => {
    const ended = await write(join(LINES.map(({ line }) => line)));
    expect(ended).toMatchObject({ ...COMPLETED, instance: { result_summary: null } });
    const said = await bench.said(ended.task_id);
    const { task_id, run_id, id: agent_id } = ended.instance;
    for (const [index, { is }] of LINES.entries()) {
      expect(said[index], `line ${index}`).toMatchObject({ ...is, task_id, run_id, agent_id });
    }
    expect(said).toHaveLength(LINES.length);
    const time = (message: AcpMessage): number => Date.parse(message.timestamp);
    const sound = said.filter(({ timestamp }) => !timestamp.startsWith('2026-01-09'));
    expect(sound.every((message) => Math.abs(time(message) - Date.now()) < 60_000)).toBe(true);
    expect(
      Object.hasOwn(said.find(({ data }) => 'toString' in data && data['toString'] === 'x')?.data ?? {}, '__proto__'),
    ).toBe(true);
  });

  it('to stderr is a warning, whatever it looks like', async () => {
    const lines = ['a warning', '{"type":"result","data":{"status":"failed"}}', '', 'no newline'];
    const ended = await write(Buffer.from('on stdout\n'), join(lines));
    expect(ended).toMatchObject({ ...COMPLETED, instance: { result_summary: null } });
    const said = await bench.said(ended.task_id);
    const warnings = said.filter(({ data }) => data['level'] === 'warn');
    expect(warnings.map(({ data }) => data)).toEqual(
      lines.map((message) => ({ level: 'warn', message, metadata: { source: 'stderr' } })),
    );
    expect(said).toHaveLength(lines.length + 1);
  });

  it.each([
    { what: 'ASCII', line: 'abcdefgh'.repeat((3.5 * MEBI) / 8) },
    { what: 'characters of three bytes', line: 'a' + '€'.repeat(1.2 * MEBI) },
    { what: 'characters of four bytes', line: 'ab' + '😀'.repeat(0.9 * MEBI) },
    { what: 'byte order marks', line: '.' + '\ufeff'.repeat(0.8 * MEBI) },
    { what: 'carriage returns', line: '\r'.repeat(2.5 * MEBI) + '.' },
    {
      what: 'a message too long for one',
      line: json({ type: 'result', data: { status: 'failed', x: 'x'.repeat(MEBI) } }),
    },
  ])('in one huge line comes in pieces that are the same bytes: $what', async ({ line }) => {
    const ended = await write(Buffer.from(`before\n${line}\nafter\n`));
    expect(ended).toMatchObject(COMPLETED);
    const [before, ...rest] = await bench.said(ended.task_id);
    const after = rest.pop();
    expect([before, after].map((message) => message?.data)).toEqual([asText('before'), asText('after')].map(dataOf));
    const flags = rest.map(({ data }) => data['metadata'] as { continues?: boolean; continued?: boolean });
    expect(rest.length).toBeGreaterThan(1);
    expect(flags.map(({ continues = false }) => continues)).toEqual(rest.map((_, index) => index < rest.length - 1));
    expect(flags.map(({ continued = false }) => continued)).toEqual(rest.map((_, index) => index > 0));
    expect(rest.map(({ data }) => String(data['message'])).join('') === line).toBe(true);
  });
});

function dataOf({ is }: Line): unknown {
  return (is as AcpMessage).data;
}
