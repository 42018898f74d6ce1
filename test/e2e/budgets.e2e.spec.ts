import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AgentBench, sh, type AgentRecipe } from '../support/agents.js';
import { query } from '../support/database.js';
import { until } from '../support/until.js';

interface BudgetBody {
  period: string;
  used: Record<string, number> | null;
  used_up: boolean;
}
interface UsageBody {
  from: string;
  to: string;
  usage: ({ day: string; agent_type: string } & Record<string, number>)[];
}

let bench: AgentBench;
beforeAll(async () => {
  bench = await AgentBench.open();
});
afterAll(() => bench.close());

const process = (script: string): AgentRecipe => ({ runtime: 'process', command: sh(script) });
/** Goes on until it is ended; `once` first. */
const endless = (line: string, once = '') => process(`${once}\nwhile :; do ${line}; sleep 0.02; done`);
const telling = (usage: object) => `echo '${JSON.stringify({ type: 'progress', data: { usage } })}'`;

async function must<T>(
  status: number,
  method: 'PUT' | 'GET' | 'DELETE' | 'POST',
  path: string,
  body?: object,
): Promise<T> {
  const answer = await bench.admin.send<T>(method, path, body);
  expect(answer.status, `${method} ${path}: ${JSON.stringify(answer.body)}`).toBe(status);
  return answer.body;
}
const setBudget = (of: string, period: string, limits: object) => must(200, 'PUT', `/${of}/budgets/${period}`, limits);

/** A board of its own, for budgets that others would use up. */
async function onOwnBoard<T>(work: (board: string) => Promise<T>): Promise<T> {
  const before = bench.board_id;
  const { id } = (await bench.admin.post<{ id: string }>('/boards', { name: 'Budgets' })).body;
  Object.assign(bench, { board_id: id });
  try {
    return await work(`boards/${id}`);
  } finally {
    Object.assign(bench, { board_id: before });
  }
}

const totals = async (board: string) =>
  query<Record<string, number>>(
    bench.server.database.url,
    'select messages::int, tokens_in::int, wall_clock_ms::int from usage_totals where subject = $1',
    [board.replace('boards/', '')],
  );

describe('a budget of each run', () => {
  it.each([
    ['wall_clock_seconds', 1, endless(':'), '1 s of running'],
    ['output_bytes', 500, endless('echo 0123456789'), '500 bytes of output'],
    ['messages', 20, endless('echo line'), '20 messages'],
    ['tokens', 100, endless(':', telling({ input_tokens: 60, output_tokens: 41 })), '100 tokens'],
    ['cost_usd', 0.5, endless(':', telling({ cost_usd: 0.51 })), '0.5 USD'],
  ])('ends an agent that uses more %s', async (resource, limit, recipe, words) => {
    const task = await bench.task(recipe);
    await setBudget(`tasks/${task}`, 'run', { [resource]: limit });
    await bench.start(task);
    const ended = await bench.ended(task);
    expect(ended).toMatchObject({ task: 'FAILED', run: 'FAILED', agent: 'FAILED', failure_code: 'budget.exceeded' });
    expect(ended.message).toContain(`budget of the task for each run, ${words}, is used up`);
    expect((await bench.status(task)).attempt).toBe(1);
  });

  it('of an agent type holds for each of its runs, and lets those alone that keep to it', async () => {
    const task = await bench.task(process(`${telling({ input_tokens: 100 })}; ${telling({ input_tokens: -1e9 })}`));
    const { agent_type } = await must<{ agent_type: string }>(200, 'GET', `/tasks/${task}`);
    const { agent_types } = await must<{ agent_types: { id: string; name: string }[] }>(200, 'GET', '/agent-types');
    const type = `agent-types/${agent_types.find(({ name }) => name === agent_type)?.id ?? ''}`;
    await setBudget(type, 'run', { tokens: 100 });
    await bench.start(task);
    expect(await bench.ended(task)).toMatchObject({ run: 'COMPLETED', failure_code: null });
    await setBudget(type, 'run', { tokens: 0 });
    await must(202, 'POST', '/orchestrator/trigger', { task_id: task, force: true });
    const refused = await until('the run to be refused', async () => {
      const status = await bench.status(task);
      return status.run_state === 'FAILED' && status;
    });
    expect(refused).toMatchObject({ failure_code: 'budget.exhausted', agent_instance_id: null });
    expect(refused.failure_message).toContain('0 of 0 tokens');
    expect((await bench.admin.put(`/${type}/budgets/day`, { tokens: 1 })).status).toBe(400);
  });
});

describe('a budget of a board', () => {
  it('for a day parks what comes when it is used up, and lets it go when it is raised', async () => {
    await onOwnBoard(async (board) => {
      await setBudget(board, 'day', { messages: 2 });
      const [first, second] = [await bench.task(process('echo 1; echo 2')), await bench.task(process('echo 3'))];
      await bench.start(first);
      expect(await bench.ended(first)).toMatchObject({ run: 'COMPLETED' });
      await bench.start(second);
      const parked = 'select attempt, not_before > now() as later from runs where task_id = $1 and parked_for = $2';
      const rows = await until('the run to be parked', async () => {
        const found = await query(bench.server.database.url, parked, [second, 'budget']);
        return found.length > 0 && found;
      });
      expect(rows).toEqual([{ attempt: 0, later: true }]);
      const { budgets } = await must<{ budgets: BudgetBody[] }>(200, 'GET', `/${board}/budgets`);
      expect(budgets).toMatchObject([{ period: 'day', used_up: true, used: { messages: 2 } }]);
      await setBudget(board, 'day', { messages: 3 });
      expect(await bench.ended(second)).toMatchObject({ run: 'COMPLETED', task: 'COMPLETED' });
      expect(await must<UsageBody>(200, 'GET', `/tasks/${second}/usage`)).toMatchObject({ usage: [{ messages: 1 }] });
    });
  });

  it('in all refuses what comes when it is used up, with the reason', async () => {
    await onOwnBoard(async (board) => {
      await setBudget(board, 'total', { cost_usd: 0.3 });
      for (const cost_usd of [0.1, 0.2]) {
        const task = await bench.task(process(telling({ cost_usd })));
        await bench.start(task);
        expect(await bench.ended(task)).toMatchObject({ run: 'COMPLETED' });
      }
      const task = await bench.task(process('echo never'));
      await bench.start(task);
      const status = await until('the run to be refused', async () => {
        const now = await bench.status(task);
        return now.state === 'FAILED' && now;
      });
      expect(status).toMatchObject({ run_state: 'FAILED', failure_code: 'budget.exhausted' });
      expect(status.failure_message).toMatch(/board for all runs together is used up: 0.3 of 0.3 USD. An owner/);
      const { usage } = await must<UsageBody>(200, 'GET', `/${board}/usage`);
      expect(usage.reduce((sum, { cost_usd }) => sum + cost_usd!, 0)).toBeCloseTo(0.3, 6);
    });
  });

  it('is held to over a kill of the server, and what an attempt has used is counted once', async () => {
    await onOwnBoard(async (board) => {
      const task = await bench.task(endless('echo line', telling({ input_tokens: 7 })));
      await bench.start(task);
      const agent = await bench.running(task);
      const stored = 'select messages::int from agent_instances where id = $1 and messages > 5';
      await until('some of it to be stored', async () => {
        return (await query(bench.server.database.url, stored, [agent.id])).length > 0;
      });
      await bench.server.kill();
      expect(await totals(board)).toEqual([]);
      await bench.server.start();
      await setBudget(board, 'total', { messages: 100 });
      expect(await bench.ended(task)).toMatchObject({ run: 'FAILED', failure_code: 'budget.exceeded' });
      const said = await bench.said(task);
      const [sum] = await totals(board);
      expect(sum).toMatchObject({ messages: said.length, tokens_in: 7 });
      expect(said.length).toBeGreaterThan(100);
    });
  });
});

describe('what is asked of budgets', () => {
  it('is checked: limits, periods, days; what is taken away is gone', async () => {
    const { board_id, admin } = bench;
    const path = `/boards/${board_id}/budgets/day`;
    for (const body of [{}, { tokens: null }, { tokens: -1 }, { tokens: 1.5 }, { cost_usd: -0.1 }, { more: 1 }])
      expect(await admin.put(path, body)).toMatchObject({ status: 400, body: { code: 'request.invalid' } });
    expect((await admin.put(`/boards/${board_id}/budgets/week`, { tokens: 1 })).status).toBe(400);
    await must(200, 'PUT', `/boards/${board_id}/budgets/run`, { tokens: 0 });
    const { budgets } = await must<{ budgets: BudgetBody[] }>(200, 'GET', `/boards/${board_id}/budgets`);
    expect(budgets).toMatchObject([{ period: 'run', used: null, used_up: true }]);
    await must(204, 'DELETE', `/boards/${board_id}/budgets/run`);
    await must(200, 'PUT', path, { tokens: 1e15, cost_usd: 0.000001 });
    await must(204, 'DELETE', path);
    expect(await admin.delete(path)).toMatchObject({ status: 404, body: { code: 'budget.not_found' } });
    for (const days of [
      'to=0000-01-01',
      'from=1969-12-31',
      'from=2026-02-30',
      'from=2026-11-02&to=2026-11-01',
      'from=2020-01-01&to=2026-01-01',
    ])
      expect((await admin.get(`/boards/${board_id}/usage?${days}`)).status).toBe(400);
    const early = await must<UsageBody>(200, 'GET', `/boards/${board_id}/usage?to=1970-01-02`);
    expect(early).toMatchObject({ from: '1970-01-01', to: '1970-01-02' });
    const empty = await must<UsageBody>(200, 'GET', `/boards/${board_id}/usage?from=2026-01-01&to=2026-01-31`);
    expect(empty).toEqual({ from: '2026-01-01', to: '2026-01-31', usage: [] });
  });
});
