/** The demo: sets the scene, starts the task, shows its stream, and prints what came of it. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildDemoImage, engineAnswers } from '../../build-demo-image.mjs';
import { Api } from './api.mjs';
import { makeRepository, workspaceDiff } from './repository.mjs';
import { printResults } from './results.mjs';
import { startServer } from './server.mjs';
import { say, title } from './terminal.mjs';
import { watchTask } from './watch.mjs';

const keep = process.argv.includes('--keep');
const startedAt = Date.now();
const directory = mkdtempSync(join(tmpdir(), 'kandev-demo-'));
chmodSync(directory, 0o711); // PostgreSQL runs under an account of its own when we are root
let server;
let interrupted = false;

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    interrupted = true;
    void cleanUp().finally(() => process.exit(130));
  });
}

try {
  await demo();
} catch (error) {
  if (!interrupted) {
    say(`\nThe demo failed: ${error.message}`);
    if (server) say(`Last lines of the server's log:\n${server.logTail()}`);
    process.exitCode = 1;
  }
} finally {
  if (!interrupted && !(keep && process.exitCode !== 1)) await cleanUp();
}

async function demo() {
  title('Setting the scene');
  const docker = await engineAnswers();
  if (docker) await buildDemoImage({ log: say });
  else say('No Docker engine answers: the agent will run as a local process, without a container.');

  server = await startServer(directory, { process_runtime: !docker });
  say(`Server: ${server.url} (its own PostgreSQL, everything under ${directory})`);
  const api = new Api(server.url);
  const password = 'correct horse battery staple';
  await api.register({ email: 'demo@example.com', username: 'demo', password });
  const agentType = docker ? 'demo-agent' : await api.registerProcessAgent();
  const repository = makeRepository(join(directory, 'repository'));
  say(`Repository with a failing test: ${repository}`);
  const board = await api.post('/boards', { name: 'Demo', description: 'Made by npm run demo' });
  const task = await api.post(`/boards/${board.id}/tasks`, {
    title: 'The cart charges too much',
    description: 'The test suite fails. Find the bug, fix it, and write a report.',
    priority: 5,
    agent_type: agentType,
    repository_url: repository,
    branch: 'main',
  });
  say(`Task: "${task.title}" on board "${board.name}"`);

  title(docker ? 'The agent at work, in a container' : 'The agent at work, as a process');
  const watching = watchTask(server.url, api.token, task.id);
  await watching.open;
  await api.post(`/orchestrator/tasks/${task.id}/start`, {});
  await watching.done;
  await api.until(`/tasks/${task.id}`, ({ state }) => ['COMPLETED', 'FAILED', 'CANCELLED'].includes(state));

  const completed = await printResults({
    api,
    task_id: task.id,
    diff: workspaceDiff(repository, join(directory, 'home', 'workspaces', task.id)),
  });
  title('Look around');
  say(`Swagger UI: ${server.url}/docs${keep ? '' : '   (while the server runs: npm run demo -- --keep)'}`);
  if (keep) {
    say(`Sign in as demo@example.com with the password "${password}"`);
    say(`The server keeps running. Stop it with: kill ${server.pid}   then remove ${directory}`);
    server.leave();
  }
  say(`Done in ${((Date.now() - startedAt) / 1000).toFixed(1)} s.`);
  if (!completed) process.exitCode = 1;
}

async function cleanUp() {
  await server?.stop();
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
}
