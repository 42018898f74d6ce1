import { expect } from 'vitest';
import Docker from 'dockerode';
import type { TestUser } from '../support/test-user.js';
import type { TestServer } from '../support/server.js';
import { nothingLeft } from '../support/leftovers.js';
import { giveCredentials as giveTo, makeRepository } from '../support/supplies.js';

/**
 * Writes the numbers 1 to LINES, each a line, in bursts with pauses; half a line before some pauses, so that a
 * reader may stop in the middle of one. Each start of it leaves a mark in an artifact.
 */
const SCRIPT = `
const { appendFileSync, writeSync } = require('node:fs');
appendFileSync('/run/kandev/artifacts/starts', 'started\\n');
const { LINES, PAUSE_MS } = process.env;
const pause = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
const write = (text) => { for (let done = 0; done < text.length;) done += writeSync(1, text.slice(done)); };
for (let n = 1; n <= Number(LINES);) {
  let burst = '';
  for (const end = Math.min(Number(LINES), n + (n * 7) % 50); n <= end; n++) burst += n + '\\n';
  const cut = burst.length - 2;
  write(burst.slice(0, cut));
  pause(Number(PAUSE_MS));
  write(burst.slice(cut));
}
writeSync(1, JSON.stringify({ type: 'result', data: { status: 'completed', summary: 'counted' } }) + '\\n');
`;

/** Registers the counting agent; returns its name. */
export function countingAgent(admin: TestUser, lines: number, pauseMs: number): Promise<string> {
  return admin.createAgentType({
    name: `counting-${lines}-${pauseMs}`,
    command: ['node', '-e', SCRIPT],
    environment_vars: { LINES: String(lines), PAUSE_MS: String(pauseMs) },
    default_resources: { memory_limit: '256m', disk_limit: '32m' },
    mounts: ['ssh_keys', 'gitconfig'],
  });
}

/** See {@link giveTo}. */
export function giveCredentials(server: TestServer): void {
  giveTo(server.directory);
}

/** A repository to check out, below the server's directory. */
export function repository(server: TestServer): string {
  return makeRepository(server.directory);
}

/** The whole promise: every line once and in order, one start of the agent, no gap in the stream, nothing left over. */
export async function expectEverythingOnce(
  server: TestServer,
  client: TestUser,
  taskId: string,
  lines: number,
): Promise<void> {
  const { run_state, failure_message } = await client.untilRun(taskId, undefined, 60_000);
  expect({ run_state, failure_message }).toEqual({ run_state: 'COMPLETED', failure_message: null });
  expect((await client.untilTask(taskId, ['COMPLETED'])).state).toBe('COMPLETED');
  const logs = await client.logs(taskId);
  expect(
    loss(
      logs.map(({ message }) => Number(message)),
      lines,
    ),
  ).toEqual({ lost: 0, doubled: 0, reordered: 0 });
  const files = `/orchestrator/tasks/${taskId}/artifacts`;
  const { artifacts } = await client.must<{ artifacts: { id: string; name: string; size: number }[] }>(
    200,
    'GET',
    files,
  );
  expect(artifacts.map(({ name, size }) => [name, size])).toEqual([['starts', 'started\n'.length]]);
  const { agents } = await client.must<{ agents: { status: string }[] }>(200, 'GET', `/tasks/${taskId}/agents`);
  expect(agents.map(({ status }) => status)).toEqual(['COMPLETED']);
  await nothingLeft(server.home);
}

/** What happened to the numbers 1 to `n` on their way. */
export function loss(received: readonly number[], n: number): { lost: number; doubled: number; reordered: number } {
  const distinct = new Set(received);
  const reordered = received.filter((value, index) => index > 0 && value < (received[index - 1] ?? 0)).length;
  return { lost: n - distinct.size, doubled: received.length - distinct.size, reordered };
}

/** Containers of agents that this server has made. */
export function containersOf(server: TestServer): Promise<Docker.ContainerInfo[]> {
  return new Docker().listContainers({
    all: true,
    filters: { label: [`kandev.home_path=${server.home}`, 'kandev.agent_id'] },
  });
}
