import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AgentBench, COMPLETED, sh, type AgentRecipe } from '../support/agents.js';
import { until } from '../support/until.js';

interface Attempt {
  attempt: number;
  state: string;
  agent_id: string | null;
  failure_code: string | null;
  retry_at: string | null;
  retry_decision: string | null;
}
interface Run {
  id: string;
  state: string;
  attempt: number;
  max_attempts: number;
  not_before: string | null;
  parked_for: string | null;
  failure_code: string | null;
}
interface Letter {
  id: string;
  task_id: string;
  attempts: number;
  failure_code: string;
}

/** A second at most between attempts, of which there may be four. */
const SOON = { max_attempts: 4, backoff_seconds: 1, max_backoff_seconds: 1 };
const LIMITED = `echo '{"type":"error","data":{"code":"rate_limit","message":"too many","retry_after_seconds":3600}}'; exit 1`;

describe('a failed attempt', () => {
  let bench: AgentBench;
  /** Where agents count their attempts, and are told that they may do their work. */
  let notes: string;

  beforeAll(async () => {
    // One place: whatever held it while it waits would hold up everybody else.
    bench = await AgentBench.open({ DOCKER_HOST: 'unix:///nowhere/docker.sock', KANDEV_MAX_CONCURRENT_RUNS: '1' });
    notes = mkdtempSync(join(bench.server.directory, 'notes-'));
    chmodSync(notes, 0o777);
  });

  afterAll(() => bench.server.dispose());

  const task = (script: string, recipe: AgentRecipe = {}) =>
    bench.task({ runtime: 'process', command: sh(script), ...recipe });

  /** Fails until its third attempt, by an exit code that is tried again here. */
  const stubborn = (name: string) =>
    `n=$(( $(cat ${notes}/${name} 2>/dev/null || echo 0) + 1 )); echo $n > ${notes}/${name}; [ $n -ge 3 ] || exit 7`;
  const needy = (name: string) => `[ -e ${notes}/${name} ] || exit 3`;

  async function runsOf(taskId: string): Promise<Run[]> {
    return (await bench.admin.get<{ runs: Run[] }>(`/orchestrator/tasks/${taskId}/runs`)).body.runs;
  }

  async function attemptsOf(taskId: string, runId: string) {
    const path = `/orchestrator/tasks/${taskId}/runs/${runId}/attempts`;
    const { body } = await bench.admin.get<{
      attempts: Attempt[];
      max_attempts: number;
      next_attempt_at: string | null;
      parked_for: string | null;
    }>(path);
    return body;
  }

  async function parked(taskId: string): Promise<Run> {
    return until('the run to be parked', async () => {
      const [run] = await runsOf(taskId);
      return run?.parked_for ? run : undefined;
    });
  }

  async function letters(query = ''): Promise<Letter[]> {
    return (await bench.admin.get<{ dead_letters: Letter[] }>(`/orchestrator/dead-letters${query}`)).body.dead_letters;
  }

  const redrive = (id: string) =>
    bench.admin.post<{ run_id: string; code?: string }>(`/orchestrator/dead-letters/${id}/redrive`);

  it('is followed by others until one completes: one run, whose task knows nothing of it', async () => {
    const policy = { ...SOON, retry_on: ['agent.exit_code'] };
    const taskId = await task(stubborn('thrice'), { retry_policy: policy });
    await bench.start(taskId);
    const ended = await bench.ended(taskId);
    expect(ended).toMatchObject({ ...COMPLETED, exit_code: 0 });
    const runs = await runsOf(taskId);
    expect(runs).toMatchObject([{ state: 'COMPLETED', attempt: 3, max_attempts: 4, failure_code: null }]);
    const { attempts, ...next } = await attemptsOf(taskId, runs[0]!.id);
    expect(next).toEqual({ max_attempts: 4, next_attempt_at: null, parked_for: null });
    const time = expect.stringMatching(/^\d{4}-.*Z$/) as string;
    const failed = { state: 'FAILED', failure_code: 'agent.exit_code', retry_at: time };
    expect(attempts).toMatchObject([
      { attempt: 1, ...failed, retry_decision: 'Attempt 2 of 4: agent.exit_code is tried again.' },
      { attempt: 2, ...failed },
      { attempt: 3, state: 'COMPLETED', failure_code: null, retry_at: null, agent_id: ended.instance.id },
    ]);
    const { body } = await bench.admin.get<{ events: { new_state: string | null }[] }>(`/tasks/${taskId}/events`);
    expect(body.events.flatMap(({ new_state }) => new_state ?? [])).toEqual(['TODO', 'IN_PROGRESS', 'COMPLETED']);
    const told = (await bench.stream(taskId)).filter(({ data }) => data['next_attempt'] !== undefined);
    expect(told.map(({ data }) => [data['attempt'], data['next_attempt'], data['retry_at']])).toEqual([
      [1, 2, attempts[0]!.retry_at],
      [2, 3, attempts[1]!.retry_at],
    ]);
    expect(told[0]!.data['message']).toMatch(/^attempt 1 failed \(agent\.exit_code\), attempt 2 at \d{4}-/);
  });

  it('waits as long as its provider asks, without a place; a stop ends the wait at once', async () => {
    const taskId = await task(LIMITED);
    const changed = await bench.admin.put(`/tasks/${taskId}`, { retry_policy: { max_attempts: 2 } });
    const nothing = { backoff_seconds: null, max_backoff_seconds: null, retry_on: null };
    expect(changed.body).toMatchObject({ retry_policy: { max_attempts: 2, ...nothing } });
    await bench.start(taskId);
    const run = await parked(taskId);
    expect(run).toMatchObject({ state: 'QUEUED', attempt: 1, max_attempts: 2, parked_for: 'retry_after' });
    expect(Date.parse(run.not_before ?? '') - Date.now()).toBeGreaterThan(3_500_000);
    expect((await attemptsOf(taskId, run.id)).next_attempt_at).toBe(run.not_before);
    const other = await bench.run({ runtime: 'process', command: sh('true') });
    expect(other).toMatchObject(COMPLETED);
    expect(await bench.status(taskId)).toMatchObject({ state: 'IN_PROGRESS', run_state: 'QUEUED' });
    const stopped = await bench.admin.post<{ state: string }>(`/orchestrator/tasks/${taskId}/stop`);
    expect(stopped.body).toMatchObject({ state: 'CANCELLED' });
    await until('the task to follow', async () => (await bench.status(taskId)).state === 'CANCELLED');
    expect(await letters()).toEqual([]);
  });

  it('is followed by the next one when the server was killed in between', async () => {
    const policy = { ...SOON, backoff_seconds: 2, max_backoff_seconds: 2, retry_on: ['agent.exit_code'] };
    const taskId = await task(stubborn('killed'), { retry_policy: policy });
    await bench.start(taskId);
    await parked(taskId);
    await bench.server.kill();
    await bench.server.start();
    expect(await bench.ended(taskId)).toMatchObject(COMPLETED);
    expect(await runsOf(taskId)).toMatchObject([{ attempt: 3 }]);
  });

  it('that is the last one makes a dead letter, and is redriven', async () => {
    const taskId = await task(needy('letter'));
    await bench.start(taskId);
    await bench.ended(taskId);
    const [letter] = await letters();
    expect(letter).toMatchObject({ task_id: taskId, attempts: 1, failure_code: 'agent.exit_code' });
    expect(await letters('?failure_code=image.unavailable')).toEqual([]);
    expect(await letters(`?board_id=${taskId}`)).toEqual([]);
    writeFileSync(join(notes, 'letter'), '');
    const [first, second] = await Promise.all([redrive(letter!.id), redrive(letter!.id)]);
    expect([first.status, second.status]).toEqual([202, 202]);
    expect(second.body.run_id).toBe(first.body.run_id);
    await until('the new run to complete', async () => (await bench.status(taskId)).state === 'COMPLETED');
    expect((await runsOf(taskId)).map(({ id }) => id)).toEqual([first.body.run_id, letter!.id]);
    expect((await redrive(letter!.id)).body.run_id).toBe(first.body.run_id);
    expect(await letters()).toEqual([]);
  });

  it('that is the last one leaves the list when it is dismissed, or what came later has completed', async () => {
    const [dismissed, overtaken] = [await task(needy('never')), await task(needy('later'))];
    for (const taskId of [dismissed, overtaken]) {
      await bench.start(taskId);
      await bench.ended(taskId);
    }
    const ids = (await letters()).map(({ id }) => id); // the newest first
    expect(ids).toHaveLength(2);
    expect((await bench.admin.delete(`/orchestrator/dead-letters/${ids[1]}`)).status).toBe(204);
    expect(await redrive(ids[1]!)).toMatchObject({ status: 404, body: { code: 'dead_letter.not_found' } });
    writeFileSync(join(notes, 'later'), '');
    expect((await bench.admin.post('/orchestrator/trigger', { task_id: overtaken, force: true })).status).toBe(202);
    await until('it to complete', async () => (await bench.status(overtaken)).state === 'COMPLETED');
    expect(await letters()).toEqual([]);
    expect(await redrive(ids[0]!)).toMatchObject({ status: 409, body: { code: 'dead_letter.overtaken' } });
  });

  it('that is the last one of many is redriven with the others, by a filter', async () => {
    const tasks = [await task(needy('bulk')), await task(needy('bulk')), await task('exit 127')];
    for (const taskId of tasks) {
      await bench.start(taskId);
      await bench.ended(taskId);
    }
    writeFileSync(join(notes, 'bulk'), '');
    const body = { filter: { board_id: bench.board_id, failure_code: 'agent.exit_code' } };
    const result = await bench.admin.post('/orchestrator/dead-letters/redrive', body);
    expect(result.body).toMatchObject({ succeeded: 2, failed: 0, remaining: 0 });
    for (const taskId of tasks.slice(0, 2))
      await until('it to complete', async () => (await bench.status(taskId)).state === 'COMPLETED');
    expect(await letters()).toMatchObject([{ task_id: tasks[2], failure_code: 'agent.command_not_found' }]);
  });
});
