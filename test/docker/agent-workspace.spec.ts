import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { AgentBench, COMPLETED, sh } from '../support/agents.js';
import { query } from '../support/database.js';
import { git, makeRepository } from '../support/repository.js';
import { until } from '../support/until.js';
import { describeWithEngine } from './engine.js';

/** Works as people want it, and leaves what would run a command on the host if any git of the host looked at it. */
const AGENT = sh(`
  set -e
  cd /workspace
  export HOME=/tmp GIT_AUTHOR_NAME=Agent GIT_AUTHOR_EMAIL=agent@example.com GIT_COMMITTER_NAME=Agent GIT_COMMITTER_EMAIL=agent@example.com
  echo 'by the agent' > committed.txt
  git add -A && git commit -qm 'By the agent'
  echo 'not committed' > left.txt
  mkdir inner && git init -q inner && echo x > inner/file
  node -e 'require("fs").symlinkSync("/etc/passwd", "link")'
  if command -v mkfifo; then mkfifo fifo .gitignore; fi
  for key in core.fsmonitor diff.external core.sshCommand filter.evil.clean diff.evil.textconv gpg.program; do
    git config $key "touch $CANARY"
  done
  git config core.worktree /
  git config core.hooksPath /workspace/.git/evil
  mkdir .git/evil
  for hook in pre-commit pre-push post-checkout reference-transaction; do
    printf '#!/bin/sh\\ntouch %s\\n' "$CANARY" > .git/evil/$hook && chmod 755 .git/evil/$hook
  done
  echo '* filter=evil diff=evil' > .gitattributes
  echo /etc > .git/objects/info/alternates
`);

interface Rescue {
  id: string;
  reason: string;
}

describeWithEngine('the workspace of an agent', () => {
  let bench: AgentBench;
  let remote: string;
  let canary: string;
  let task: string;

  beforeAll(async () => {
    bench = await AgentBench.open();
    const source = makeRepository(bench.server.directory);
    remote = `${source}.git`;
    git(bench.server.directory, 'clone', '-q', '--bare', source, remote);
    canary = join(bench.server.directory, 'canary');
    const ended = await bench.run({ command: AGENT, repository_url: remote, environment_vars: { CANARY: canary } });
    expect(ended).toMatchObject(COMPLETED);
    task = ended.task_id;
    await bench.expectQuiet();
  });

  afterEach(() => expect(existsSync(canary)).toBe(false));

  afterAll(() => bench.close());

  async function must<T>(status: number, method: string, path: string, body?: unknown): Promise<T> {
    const answer = await bench.admin.send<T>(method, path, body);
    expect(answer.status, JSON.stringify(answer.body)).toBe(status);
    return answer.body;
  }

  const paths = async () =>
    (await must<{ files: { path: string }[] }>(200, 'GET', `/tasks/${task}/diff`)).files.map(({ path }) => path);

  it('is compared', async () => {
    expect(await paths()).toEqual(['.gitattributes', 'committed.txt', 'inner/file', 'left.txt', 'link']);
  });

  it('is committed and pushed, with the commits of the agent', async () => {
    const { commit, branch } = await must<{ commit: string; branch: string }>(200, 'POST', `/tasks/${task}/commit`, {});
    await must(200, 'POST', `/tasks/${task}/push`, {});
    expect(git(remote, 'rev-parse', `refs/heads/${branch}`).trim()).toBe(commit);
    const authors = git(remote, 'log', '-2', '--format=%an', commit).trim().split('\n');
    expect(authors).toEqual([bench.admin.tokens?.user.username, 'Agent']);
    expect(git(remote, 'show', `${commit}:left.txt`)).toBe('not committed\n');
  });

  it('is rescued when its time is over, and comes back for the next run', async () => {
    const { database } = bench.server;
    const state = async () =>
      (await query<{ state: string }>(database.url, 'select state from workspaces where task_id = $1', [task]))[0]
        ?.state;
    const old = `update workspaces set last_used_at = now() - interval '31 days' where task_id = $1`;
    await until('the workspace to be free', async () => (await state()) === 'READY');
    await query(database.url, old, [task]);
    await bench.server.stop(); // its first round comes with the start
    await bench.server.start();
    await until('the workspace to go', async () => (await state()) === 'REMOVED');
    const { rescues } = await must<{ rescues: Rescue[] }>(200, 'GET', `/tasks/${task}/rescues`);
    expect(rescues).toMatchObject([{ reason: 'retention' }]);
    await must(200, 'POST', `/rescues/${rescues[0]!.id}/restore`, {});
    expect(await paths()).toEqual(['.gitattributes', 'committed.txt', 'inner/file', 'left.txt', 'link']);
    const look =
      'cd /workspace && cat left.txt inner/file && git -C inner rev-parse --git-dir && git log -1 --format=%s';
    const update = `update agent_types set command = $1 where name = (select agent_type from tasks where id = $2)`;
    await query(database.url, update, [JSON.stringify(['sh', '-c', look]), task]);
    await must(202, 'POST', '/orchestrator/trigger', { task_id: task, force: true });
    const said = await until('the agent to say what it sees', async () => {
      const lines = (await bench.said(task)).map(({ data }) => data['message']);
      return lines.length >= 4 && lines;
    });
    expect(said).toEqual(['not committed', 'x', '.git', 'By the agent']);
    await bench.ended(task);
  });
});
