import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { AgentBench, COMPLETED, FAILED, sh, type AgentRecipe } from '../support/agents.js';
import { query } from '../support/database.js';
import { git, makeRepository } from '../support/repository.js';
import { describeWithEngine } from './engine.js';

describeWithEngine('the repository of a task', () => {
  let bench: AgentBench;
  let repository: string;

  beforeAll(async () => {
    bench = await AgentBench.open({
      KANDEV_CLONE_TIMEOUT_SECONDS: '2',
      KANDEV_ALLOWED_PRIVATE_RANGES: '127.0.0.1/32',
    });
    repository = makeRepository(bench.server.directory);
  });

  afterEach(() => bench.expectQuiet());

  afterAll(() => bench.close());

  /** An agent that must never begin. */
  async function expectFailure(recipe: AgentRecipe, failure_code: string, says: RegExp): Promise<void> {
    const ended = await bench.run({ command: sh('echo never'), ...recipe });
    expect(ended).toMatchObject({ ...FAILED, exit_code: null, failure_code });
    expect(ended.message).toMatch(says);
    expect(await bench.said(ended.task_id)).toEqual([]);
  }

  it('may be on this machine', async () => {
    git(repository, 'branch', 'feature/one');
    const command = sh('git rev-parse --abbrev-ref HEAD origin/feature/one && git status --porcelain');
    const ended = await bench.run({ command, repository_url: `file://${repository}`, branch: 'feature/one' });
    expect(ended).toMatchObject(COMPLETED);
    const branch = expect.stringMatching(/^kandev\/[0-9a-f]{8}-task-\d+$/);
    expect((await bench.said(ended.task_id)).map(({ data }) => data['message'])).toEqual([
      branch,
      'origin/feature/one',
    ]);
  });

  it('does not exist', async () => {
    const repository_url = join(bench.server.directory, 'nothing-here');
    await expectFailure({ repository_url }, 'workspace.clone_failed', /nothing-here.*does not exist/);
  });

  it('is no repository', async () => {
    const repository_url = mkdtempSync(join(bench.server.directory, 'plain-'));
    await expectFailure({ repository_url }, 'workspace.clone_failed', /could not be cloned/);
  });

  it('does not have the branch', async () => {
    const recipe = { repository_url: repository, branch: 'feature/none' };
    await expectFailure(recipe, 'workspace.clone_failed', /feature\/none/);
  });

  it('is at an address where nobody listens', async () => {
    const repository_url = 'http://127.0.0.1:9/closed.git';
    await expectFailure({ repository_url }, 'workspace.unreachable', /127\.0\.0\.1/);
  });

  it('is at an address where nobody answers', async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    try {
      const repository_url = `git://127.0.0.1:${port}/x`;
      await expectFailure(
        { repository_url },
        'workspace.clone_failed',
        /longer than 2 s.*KANDEV_CLONE_TIMEOUT_SECONDS/,
      );
    } finally {
      silent.close();
    }
  });

  it.each([
    '--upload-pack=touch /tmp/pwned',
    '-u./evil',
    'ext::sh -c "touch /tmp/pwned" %S',
    'fd::17/foo',
    'transport::https://example.com/x',
    'https://user:password@example.com/x.git',
    'ssh://-oProxyCommand=touch%20x/y',
    '-oProxyCommand=touch x:y',
    '/tmp/a\nb',
  ])('has an address that is refused: %j', async (repository_url) => {
    await expect(bench.task({ command: sh('echo never'), repository_url })).rejects.toThrow(/repository_url/);
  });

  it.each(['--upload-pack=x', '-b', 'a..b', 'a b', 'x.lock', 'a\0b', '@{1}', 'refs//x'])(
    'has a branch that is refused: %j',
    async (branch) => {
      const recipe = { command: sh('echo never'), repository_url: repository, branch };
      await expect(bench.task(recipe)).rejects.toThrow(/branch/);
    },
  );

  it.each([
    ['repository_url', '--upload-pack=touch pwned'],
    ['repository_url', 'ext::sh -c touch% pwned'],
    ['branch', '--upload-pack=touch pwned'],
  ])('has a %s that came past the API: %j', async (column, value) => {
    const taskId = await bench.task({ command: sh('echo never'), repository_url: repository });
    await query(bench.server.database.url, `update tasks set ${column} = $1 where id = $2`, [value, taskId]);
    await bench.start(taskId);
    expect(await bench.ended(taskId)).toMatchObject({ ...FAILED, failure_code: 'workspace.repository_refused' });
  });

  it('has hooks and submodules, of which none runs', async () => {
    const evil = makeRepository(bench.server.directory, { 'README.md': 'harmless\n' });
    const proof = join(bench.server.directory, `proof-${randomUUID()}`);
    const hooks = join(evil, '.git/hooks');
    mkdirSync(hooks, { recursive: true });
    for (const hook of ['post-checkout', 'post-merge', 'reference-transaction', 'pre-upload-pack']) {
      writeFileSync(join(hooks, hook), `#!/bin/sh\ntouch ${proof}\n`, { mode: 0o755 });
    }
    writeFileSync(join(evil, '.gitmodules'), `[submodule "x"]\n\tpath = x\n\turl = ${repository}\n`);
    git(evil, 'config', 'uploadpack.packObjectsHook', `touch ${proof}`);
    git(evil, 'config', 'core.fsmonitor', `touch ${proof}`);
    const ended = await bench.run({ command: sh('test -f README.md'), repository_url: evil });
    expect(ended).toMatchObject(COMPLETED);
    expect(existsSync(proof)).toBe(false);
  });

  it('has links to the outside, whose targets stay as they are', async () => {
    const target = join(bench.server.directory, 'belongs-to-the-host');
    mkdirSync(target, { mode: 0o700 });
    writeFileSync(join(target, 'file'), 'untouched', { mode: 0o600 });
    const before = [statSync(target), statSync(join(target, 'file'))].map(({ uid, gid, mode }) => ({ uid, gid, mode }));
    const linked = makeRepository(bench.server.directory, { 'README.md': 'harmless\n' });
    symlinkSync(target, join(linked, 'folder'));
    symlinkSync(join(target, 'file'), join(linked, 'file'));
    git(linked, 'add', '.');
    git(linked, '-c', 'user.name=T', '-c', 'user.email=t@example.com', 'commit', '-qm', 'Links');
    const ended = await bench.run({ command: sh('cat folder/file file || echo unreadable'), repository_url: linked });
    expect(ended).toMatchObject(COMPLETED);
    expect((await bench.said(ended.task_id)).map(({ data }) => data['message'])).toContain('unreadable');
    const after = [statSync(target), statSync(join(target, 'file'))].map(({ uid, gid, mode }) => ({ uid, gid, mode }));
    expect(after).toEqual(before);
  });
});
