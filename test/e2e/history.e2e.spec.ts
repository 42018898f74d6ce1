import { readFileSync, writeFileSync } from 'node:fs';
import { get, request, type IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AcpMessage } from '../../src/common/acp/acp-message.js';
import { query } from '../support/database.js';
import { TestServer } from '../support/server.js';
import type { ListBody, LogLineBody, TestUser } from '../support/test-user.js';
import { until } from '../support/until.js';

type Logs = ListBody<'logs', LogLineBody>;

/** Lines with known words and times, progress, and then whatever the file `go` waits for. */
const SCRIPT = `
  say() { printf '{"type":"%s","timestamp":"2026-01-09T10:%s:00Z","data":%s}\\n' "$1" "$2" "$3"; }
  say log 01 '{"level":"info","message":"Reading the FILE"}'
  say progress 02 '{"progress":20,"message":"Reading"}'
  say log 03 '{"level":"warn","message":"100% of a_file \\\\ \\"read\\""}'
  say log 04 '{"level":"debug","message":"Ändern","metadata":{"file":"x"}}'
  say error 05 '{"message":"it broke"}'
  say log 06 '{"level":"error","message":"file lost"}'
  say progress 07 '{"progress":10,"message":"Again"}'
  while [ ! -e go ]; do sleep 0.1; done
  say progress 08 '{"progress":60}'
  sleep 1`;

describe('the history of a task', () => {
  let server: TestServer;
  let owner: TestUser;
  let outsider: TestUser;
  let task: string;
  let agent: string;
  let board: string;

  beforeAll(async () => {
    server = await TestServer.start();
    const admin = await server.newUser();
    [owner, outsider] = [await server.newUser(), await server.newUser()];
    const command = ['sh', '-c', SCRIPT];
    await admin.createAgentType({ name: 'teller', runtime: 'process', command });
    board = await owner.createBoard();
    task = (await owner.createTask(board, { agent_type: 'teller' })).id;
    await owner.must(202, 'POST', `/orchestrator/tasks/${task}/start`, {});
    await until('the lines', async () => (await logs('')).total >= 4);
    agent = (await owner.must<{ agents: { id: string }[] }>(200, 'GET', `/tasks/${task}/agents`)).agents[0]!.id;
  });

  afterAll(() => server.dispose());

  const logs = (filter: string, path = `/orchestrator/tasks/${task}/logs`): Promise<Logs> =>
    owner.must<Logs>(200, 'GET', `${path}?${filter}`);
  const words = ({ logs: lines }: Logs) => lines.map(({ message }) => message);
  const status = () => owner.must<Record<string, unknown>>(200, 'GET', `/orchestrator/tasks/${task}/status`);

  it('is searched by level, time, place and words, each with the others', async () => {
    const all = await logs('');
    expect(words(all)).toEqual(['Reading the FILE', '100% of a_file \\ "read"', 'Ändern', 'file lost']);
    for (const path of [`/orchestrator/tasks/${task}/logs`, `/agents/${agent}/logs`]) {
      const found = async (filter: string) => words(await logs(filter, path));
      expect(await found('q=FiLe')).toEqual(['Reading the FILE', '100% of a_file \\ "read"', 'file lost']);
      expect(await found('q=%25')).toEqual(['100% of a_file \\ "read"']);
      expect(await found('q=a_f')).toEqual(['100% of a_file \\ "read"']);
      expect(await found('q=a%25f')).toEqual([]);
      expect(await found(`q=${encodeURIComponent('\\ "READ"')}`)).toEqual(['100% of a_file \\ "read"']);
      expect(await found(`q=${encodeURIComponent('äNDERN')}`)).toEqual(['Ändern']);
      expect(await found('q=metadata')).toEqual([]);
      expect(await found('q=file&level=info,error')).toEqual(['Reading the FILE', 'file lost']);
      expect(await found('since=2026-01-09T10:03:00Z&until=2026-01-09T10:06:00Z')).toEqual(words(all).slice(1, 3));
      expect(await found(`after_seq=${all.logs[1]!.seq}`)).toEqual(words(all).slice(2));
      expect(await found(`after_seq=${all.logs[0]!.seq}&q=file&level=error`)).toEqual(['file lost']);
    }
    expect(await logs('q=file&limit=1&offset=1')).toMatchObject({ total: 3, logs: [all.logs[1]] });
    expect(await owner.pages(`/orchestrator/tasks/${task}/logs?q=file&limit=1`, 'logs')).toHaveLength(3);
    for (const wrong of ['q=', 'until=now', 'after_seq=-1', 'after_seq=x', `q=${'x'.repeat(201)}`])
      expect((await owner.get(`/orchestrator/tasks/${task}/logs?${wrong}`)).status, wrong).toBe(400);
  });

  it('tells the progress while it runs, and an estimate where there is ground for one', async () => {
    expect(await status()).toMatchObject({
      ...{ run_state: 'RUNNING', progress: 10, current_operation: 'Again' },
      ...{ estimated_completion: null, estimate_basis: null },
    });
    // Three such runs took ten minutes, eleven and an hour.
    for (const minutes of [10, 11, 60]) {
      const other = await owner.createTask(board, { agent_type: 'teller' });
      await query(
        server.database.url,
        `insert into runs (id, task_id, board_id, agent_type, state, started_at, finished_at)
           values (gen_random_uuid(), $1, $2, 'teller', 'COMPLETED', now() - $3 * interval '1 minute', now())`,
        [other.id, board, minutes],
      );
    }
    const usual = await status();
    expect(usual['estimate_basis']).toBe('history');
    const started = Date.parse(usual['started_at'] as string);
    expect(Math.abs(Date.parse(usual['estimated_completion'] as string) - started - 11 * 60_000)).toBeLessThan(2_000);
    // It began anew at 10 %, and is at 60 % after a minute.
    await query(server.database.url, `update agent_instances set first_progress_at = now() - interval '1 minute'`);
    writeFileSync(`${server.home}/workspaces/${task}/workspace/go`, '');
    const own = await until('its own pace', async () => {
      const seen = await status();
      return (seen['progress'] === 60 || seen['run_state'] === 'COMPLETED') && seen;
    });
    expect(own).toMatchObject({ progress: 60, current_operation: 'Again' });
    if (own['run_state'] === 'RUNNING') {
      expect(own['estimate_basis']).toBe('progress');
      const left = Date.parse(own['estimated_completion'] as string) - Date.now();
      expect(left).toBeGreaterThan(40_000);
      expect(left).toBeLessThan(60_000);
    }
    await owner.untilRun(task);
    expect(await status()).toMatchObject({ progress: 60, estimated_completion: null, estimate_basis: null });
  });

  const lines = (text: string): AcpMessage[] =>
    text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as AcpMessage);
  const download = async (filter: string, user = owner, of = task) => {
    const response = await fetch(`${server.url}/api/v1/tasks/${of}/messages.ndjson?${filter}`, {
      headers: { authorization: `Bearer ${user.token}` },
    });
    return { response, text: await response.text() };
  };

  it('is downloaded as NDJSON: all of it, of one run, from a place on, of some types and levels', async () => {
    const { response, text } = await download('');
    expect(response.headers.get('content-type')).toBe('application/x-ndjson');
    expect(response.headers.get('content-disposition')).toContain(`messages-${task}.ndjson`);
    const all = lines(text);
    expect(all.map(({ seq }) => seq)).toEqual(all.map((_, i) => i + 1));
    expect(Object.keys(all[0]!)).toEqual(['type', 'timestamp', 'agent_id', 'task_id', 'run_id', 'seq', 'data']);
    const { run_id } = all[0]!;
    expect((await download(`run_id=${run_id}`)).text).toBe(text);
    expect(lines((await download('after_seq=3')).text)).toEqual(all.slice(3));
    const some = lines((await download('types=log,error,progress&min_level=warn')).text);
    expect(some.map(({ type, data }) => data['level'] ?? type)).toEqual([
      ...['progress', 'warn', 'error', 'error', 'progress', 'progress'],
    ]);
    expect((await download(`after_seq=${all.length}`)).text).toBe('');
    for (const [filter, user, code] of [
      ['', outsider, 'task.not_found'],
      [`run_id=${crypto.randomUUID()}`, owner, 'run.not_found'],
      ['types=what', owner, 'request.invalid'],
      ['min_level=loud', owner, 'request.invalid'],
    ] as const) {
      expect(JSON.parse((await download(filter, user)).text), filter).toMatchObject({ code });
    }
    const head = await fetch(`${server.url}/api/v1/tasks/${task}/messages.ndjson`, {
      method: 'HEAD',
      headers: { authorization: `Bearer ${owner.token}` },
    });
    expect(head.status).toBe(200);
  });

  describe('of a hundred thousand messages', () => {
    const N = 100_000;
    let big: string;
    const memory = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))![1]) / 1024;

    beforeAll(async () => {
      big = (await owner.createTask(board)).id;
      const sql = (text: string) => query(server.database.url, text);
      await sql(`insert into task_streams (task_id, head_seq, segment) values ('${big}', ${N}, 1)`);
      await sql(`insert into task_stream_segments (task_id, segment, first_seq) values ('${big}', 1, 1)`);
      await sql(`insert into acp_messages (segment, task_id, seq, run_id, agent_id, type, level, timestamp, data)
        select 1, '${big}', n, '${big}', '${big}', 'log', 'info', now(), json_build_object('message', repeat('x', 500) || n)
        from generate_series(1, ${N}) n`);
    });

    const open = async (): Promise<IncomingMessage> =>
      new Promise((resolve, reject) => {
        const headers = { authorization: `Bearer ${owner.token}` };
        get(`${server.url}/api/v1/tasks/${big}/messages.ndjson`, { headers }, resolve).on('error', reject);
      });

    it('takes no memory to speak of, whether the client reads or not, and ends when it leaves', async () => {
      const before = memory();
      const slow = await open();
      slow.on('error', () => undefined);
      slow.once('readable', () => void slow.read(1));
      let [seen, rest, most] = [0, '', 0];
      for await (const chunk of (await open()).setEncoding('utf8') as AsyncIterable<string>) {
        const parts = (rest + chunk).split('\n');
        rest = parts.pop()!;
        for (const line of parts) if ((JSON.parse(line) as AcpMessage).seq !== ++seen) throw new Error(`not ${seen}`);
        most = Math.max(most, memory());
      }
      expect([seen, rest]).toEqual([N, '']);
      expect(most - before).toBeLessThan(150); // MiB; all of it are 70, and twice that as text in memory
      slow.destroy();
      // Nothing goes on reading for a client that has left.
      const reads = async () =>
        (
          await query<{ n: number }>(
            server.database.url,
            `select idx_scan::int as n from pg_stat_user_tables where relname = 'acp_messages_s1'`,
          )
        )[0]!.n;
      let last = -1;
      await until('nobody to read any more', async () => {
        const [now] = [await reads()];
        const same = now === last;
        last = now;
        await sleep(300);
        return same;
      });
    });

    it('is sent to few at once, of a user, whatever becomes of them', async () => {
      const asking = (method: string, path = `/api/v1/tasks/${big}/messages.ndjson`) =>
        request(server.url + path, { method, headers: { authorization: `Bearer ${owner.token}` } })
          .on('error', () => undefined)
          .end();
      for (let n = 0; n < 4; n++) asking('HEAD').on('response', (answer) => answer.resume());
      for (let n = 0; n < 20; n++) {
        const leaving = asking('GET');
        await sleep(n); // gone before it is asked for, while it is looked up, or when it has begun
        leaving.destroy();
      }
      const four = await until('all places to be free again', async () => {
        const opened = await Promise.all(Array.from({ length: 4 }, open));
        if (opened.every(({ statusCode }) => statusCode === 200)) return opened;
        for (const one of opened) one.destroy();
        return undefined;
      });
      const { response, text } = await download('', owner, big);
      expect([response.status, (JSON.parse(text) as { code: string }).code]).toEqual([429, 'download.too_many']);
      expect(response.headers.get('retry-after')).toBe('10');
      expect((await download('after_seq=99999', outsider, big)).response.status).toBe(404); // others are not concerned
      for (const one of four) one.on('error', () => undefined).destroy();
    });

    it('is cut off, not ended, where what is missing was removed meanwhile', async () => {
      const client = await until('a place to be free', async () => {
        const opened = await open();
        return opened.statusCode === 200 ? opened : void opened.destroy();
      });
      let bytes = 0;
      await new Promise<void>((resolve) => client.once('readable', () => resolve()));
      await query(server.database.url, `delete from acp_messages where task_id = '${big}' and seq > 50000`);
      const end = new Promise<string>((resolve) => {
        client.on('data', (chunk: Buffer) => (bytes += chunk.length));
        client.once('aborted', () => resolve('aborted'));
        client.once('end', () => resolve('end'));
        client.on('error', () => resolve('aborted'));
      });
      expect(await end).toBe('aborted');
      expect(bytes).toBeGreaterThan(0);
    });
  });
});
