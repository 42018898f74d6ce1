import { describe, expect, it } from 'vitest';
import { explain } from './explain.mjs';
import { follow, view } from './now.mjs';
import { readOptions, UsageError } from './options.mjs';
import { fit, safeJson, safeLine, safeLines, width } from './text.mjs';
import { messageLines, painter, statusLine, type Now } from './view.mjs';

const plain = painter(false);
const message = (type: string, data: object) => ({ type, timestamp: '2026-01-09T10:30:15.123Z', data });

describe('the text of an agent', () => {
  it.each([
    ['clears the screen', 'a\x1b[2Jb', 'a·[2Jb'],
    ['sets the title', '\x1b]0;root@prod\x07#', '·]0;root@prod·#'],
    ['hides a link', '\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\', '·]8;;http://evil·\\click·]8;;·\\'],
    ['copies to the clipboard', '\x1b]52;c;cm0gLXJm\x07', '·]52;c;cm0gLXJm·'],
    ['asks the terminal to answer', '\x1b[6n\x05\x1bP$q\x1b\\', '·[6n··P$q·\\'],
    ['uses eight-bit controls', '\x9b31m\x9d0;x\x9c', '·31m·0;x·'],
    ['hides a sequence in another', '\x1b\x1b[31m[2J', '·[2J'],
    ['writes over the line', 'real\rfake\b\b', 'real·fake··'],
    ['turns the direction', 'a\u202egnp.exe\u2066\u200f', 'a·gnp.exe··'],
    ['writes what nobody sees', 'pass\u200bword\ufeff\u{e0041}', 'pass·word··'],
    ['is half a character', '\ud800!', '\ufffd!'],
  ])('that %s is harmless', (_, text, safe) => expect(safeLine(text)).toBe(safe));

  it('keeps what is meant to be read', () => {
    expect(safeLines('\x1b[1;31mred\x1b[0m\tend\r\nna\u00efve 日本 👩‍👩‍👧 \u0301')).toEqual([
      'red  end',
      'na\u00efve 日本 👩‍👩‍👧 \u0301',
    ]);
    expect(safeLines(undefined)).toEqual(['undefined']);
  });

  it('is the same value as JSON, and nothing that a terminal obeys', () => {
    const value = { text: 'a\x1b[2J\x9b2J\u202e\u{e0041}\n日' };
    expect(JSON.parse(safeJson(value))).toEqual(value);
    expect(safeJson(value)).toBe('{"text":"a\\u001b[2J\\u009b2J\\u202e\\udb40\\udc41\\n日"}');
  });

  it('is as wide as a terminal shows it', () => {
    expect(['abc', '日本', '👍', 'e\u0301', '한', ''].map(width)).toEqual([3, 4, 2, 1, 2, 0]);
    expect(fit('abcdef', 6)).toBe('abcdef');
    expect(fit('abcdef', 5)).toBe('abcd…');
    expect(fit('日本語日本語', 6)).toBe('日本…');
    expect(fit('abc', 0)).toBe('');
  });
});

describe('a message', () => {
  it('is lines with time, kind and text', () => {
    const lines = (type: string, data: object) => messageLines(message(type, data), plain);
    expect(lines('log', { level: 'info', message: 'hello' })).toEqual(['10:30:15.123 info   hello']);
    expect(lines('log', { level: 'warn', message: 'oh', metadata: { source: 'stderr' } })).toEqual([
      '10:30:15.123 stderr oh',
    ]);
    expect(lines('log', { level: 'constructor', message: 'a\nb' })).toEqual([
      '10:30:15.123 info   a',
      '                    b',
    ]);
    expect(lines('progress', { progress: 44.6, message: 'half' })).toEqual(['10:30:15.123 45%    half']);
    expect(lines('progress', { progress: 'much' })).toEqual(['10:30:15.123 %      ']);
    const failed = { status: 'FAILED', message: '\x1b[2J' };
    expect(lines('status', { ...failed, source: 'server' })).toEqual(['10:30:15.123 status FAILED: ·[2J']);
    for (const source of ['agent', undefined, { toString: 1 }]) {
      expect(lines('status', { ...failed, source })).toEqual(['10:30:15.123 agent  FAILED: ·[2J']);
    }
    expect(lines('result', { status: 'completed', summary: 'done' })).toEqual(['10:30:15.123 result completed: done']);
    expect(lines('error', {})).toEqual(['10:30:15.123 error  ']);
    expect(lines('\x07novelty', { message: 1 })).toEqual(['10:30:15.123 ·novelty 1']);
  });

  it.each(['log', 'progress', 'result', 'status', 'error', 'heartbeat'])('of type %s may hold anything', (type) => {
    const odd = { toString: 1, valueOf: 1 };
    for (const value of [odd, [odd], null, 7, true, 'x']) {
      const data = { level: value, message: value, summary: value, status: value, progress: value, metadata: value };
      for (const row of messageLines(message(type, data), plain)) expect(typeof row).toBe('string');
      for (const row of messageLines(message(type, { ...data, message: null }), plain)) expect(row).not.toBe('');
    }
    expect(messageLines(message('log', { message: odd }), plain)).toEqual([
      '10:30:15.123 info   {"toString":1,"valueOf":1}',
    ]);
  });

  it('has colours by its level, and none where none are wanted', () => {
    const [line = ''] = messageLines(message('error', { message: 'no' }), painter(true));
    expect(line).toContain('\x1b[31mno\x1b[0m');
    expect(messageLines(message('error', { message: 'no' }), plain)[0]).not.toContain('\x1b');
  });
});

describe('what is shown of a task now', () => {
  const status = { run_state: 'RUNNING', estimated_completion: null, progress: 1, current_operation: 'x'.repeat(1e6) };

  it('is what the agent said last, and never long', () => {
    const now = { progress: null, operation: null };
    expect(view(status, now)).toMatchObject({ progress: 1, operation: 'x'.repeat(500) });
    expect(view({ ...status, current_operation: null }, now).operation).toBeNull();
    follow(now, message('progress', { progress: 40, message: 'y'.repeat(1e6) }));
    expect(now).toEqual({ progress: 40, operation: 'y'.repeat(500) });
    follow(now, message('progress', { progress: '50', message: { toString: 1 } }));
    expect(view(status, now)).toMatchObject({ progress: 40, operation: 'y'.repeat(500) });
  });

  it('begins anew with a status of the server, and not with one of the agent', () => {
    const now = { progress: 40, operation: 'Working' };
    follow(now, message('status', { status: 'COMPLETED', source: 'agent' }));
    follow(now, message('status', { status: 'COMPLETED' }));
    expect(now).toEqual({ progress: 40, operation: 'Working' });
    follow(now, message('status', { status: 'STARTING', source: 'server' }));
    expect(now).toEqual({ progress: null, operation: null });
  });
});

describe('an error', () => {
  const about = { url: 'http://127.0.0.1:8080', task_id: 'a task' };

  it('is a missing server only where the network says so', () => {
    const refused = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
    expect(explain(new TypeError('fetch failed', { cause: refused }), about)).toMatch(/No server .+ECONNREFUSED/);
    expect(explain(new DOMException('too late', 'TimeoutError'), about)).toMatch(/No server .+too late/);
    expect(explain(new TypeError("can't convert object"), about)).toBe("can't convert object");
  });
});

describe('the last line', () => {
  const now: Now = {
    ...{ progress: 50, operation: 'Running the tests', estimated_completion: null, run_state: 'RUNNING' },
    ...{ connection: 'open', retry_at: 0, time: Date.parse('2026-01-09T10:00:00.000Z') },
  };

  it('tells progress, operation, what is left and how the connection is', () => {
    expect(statusLine(now, 60, plain)).toBe('[#############............] 50% RUNNING · Running the tests');
    const inTwoMinutes = { ...now, estimated_completion: '2026-01-09T10:02:00.000Z' };
    expect(statusLine(inTwoMinutes, 120, plain)).toContain('about 2 min left');
    const away = { ...now, connection: 'waiting', retry_at: now.time + 1_400 };
    expect(statusLine(away, 120, plain)).toContain('reconnecting in 2 s');
    expect(statusLine({ ...now, progress: null, operation: null, run_state: null }, 120, plain)).toBe('no run');
  });

  it.each([1, 5, 20, 39, 40, 41, 60, 80, 200])('never takes more than its %i columns', (columns) => {
    for (const operation of [null, '日本'.repeat(60), 'x\x1b[2J\n'.repeat(20)]) {
      for (const progress of [null, -5, 0, 33, 100, 1e9]) {
        const line = statusLine({ ...now, operation, progress }, columns, plain);
        expect(width(line)).toBeLessThanOrEqual(columns);
        expect(line).not.toMatch(/[\x00-\x1f]/);
      }
    }
  });
});

describe('the command line', () => {
  const TASK = '0197A000-0000-7000-8000-000000000001';

  it('says what to watch and how', () => {
    expect(readOptions([TASK])).toMatchObject({ task_id: TASK.toLowerCase(), after: 0, color: true, follow: false });
    const args = [
      '--after',
      '17',
      '--types',
      'log,error',
      '--min-level=warn',
      '--speed',
      '2.5',
      '--no-color',
      '--follow',
    ];
    expect(readOptions([TASK, ...args, '--url', 'https://k.example.com/'])).toMatchObject({
      ...{ after: 17, types: ['log', 'error'], min_level: 'warn', speed: 2.5, color: false, follow: true },
      url: 'https://k.example.com',
    });
    expect(readOptions(['--help'])).toEqual({ help: true });
  });

  it.each([
    [[]],
    [['17']],
    [[TASK, TASK]],
    [[TASK, '--after', '-1']],
    [[TASK, '--types', 'log,logs']],
    [[TASK, '--min-level', 'loud']],
    [[TASK, '--speed', '0']],
    [[TASK, '--url', 'file:///etc']],
    [[TASK, '--colour']],
  ])('%j is refused', (args) => expect(() => readOptions(args)).toThrow(UsageError));
});
