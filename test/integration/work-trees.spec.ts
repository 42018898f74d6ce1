import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { execFileSync, spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { WorkTree } from '../../src/modules/agent/domain/work-trees.js';
import { GitRemotes } from '../../src/modules/agent/infra/git/git-remotes.js';
import { GitWorkTrees } from '../../src/modules/agent/infra/git/git-work-trees.js';
import { WorkTreeReader } from '../../src/modules/agent/infra/git/work-tree-reader.js';
import { AddressPolicy } from '../../src/common/net/address-policy.js';
import { DirtyWorkTree, treeHash } from '../support/dirty-work-tree.js';
import { GitWorld } from '../support/git-world.js';
import { git, makeRepository } from '../support/repository.js';

const AUTHOR = ['-c', 'user.name=Agent', '-c', 'user.email=agent@example.com'];
const USER = { uid: 10_001, gid: 10_001 };
const ANA = { name: 'ana', email: 'ana@example.com' };
const signal = new AbortController().signal;

let root: string;
let world: GitWorld;
let trees: GitWorkTrees;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'kandev-upstream-'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));
beforeEach(() => {
  world = new GitWorld();
  const remotes = new GitRemotes(world.config, new AddressPolicy(['127.0.0.1/32']));
  trees = new GitWorkTrees(new WorkTreeReader(world.config, world.git, world.repositories), remotes);
});
afterEach(() => world.dispose());

const FILES = {
  'README.md': 'one\n',
  'src/a.txt': 'a\n'.repeat(20),
  'src/deep/b.txt': 'b\n',
  'run.sh': Buffer.from('#!/bin/sh\n'),
};

/** A workspace of a task, checked out from a new repository; the remote is bare, so that it takes pushes. */
async function workspace(files: Record<string, string | Buffer> = FILES) {
  const source = makeRepository(root, files);
  const remote = `${source}.git`;
  git(root, 'clone', '-q', '--bare', source, remote);
  const { directory, task_id, base_commit } = await world.clone({ repository_url: remote });
  const tree: WorkTree = {
    ...{ task_id, repository_url: remote, base_commit, branch_commit: null, pushed_commit: null, root: directory },
  };
  return { tree, directory, remote, gitDir: world.repositories.locate(remote), disk: world.disk(task_id) };
}

const write = (directory: string, name: string, content: string | Buffer) =>
  writeFileSync(join(directory, name), content);

describe('a rescue', () => {
  const first = Number(process.env['KANDEV_TEST_SEED'] ?? 1 + Math.floor(Math.random() * 1e9));

  it.each([0, 1, 2, 3, 4, 5, 6, 7])('of a work tree that is a mess brings all of it back (%i)', async (index) => {
    const seed = first + index;
    console.info(`work tree of seed ${seed}`);
    const { tree, directory, disk, gitDir } = await workspace();
    const canary = join(root, `canary-${seed}`);
    new DirtyWorkTree(directory, seed).soil(canary);
    const before = treeHash(directory);
    const packed = existsSync(join(directory, '.git/packed-refs'))
      ? readFileSync(join(directory, '.git/packed-refs'), 'utf8')
      : '';
    const config = readFileSync(join(directory, '.git/config'), 'utf8');
    writeFileSync(join(directory, '.git/config'), '[core]\n\trepositoryformatversion = 0\n'); // the test's own git must not fall into the traps
    const refs = git(directory, 'for-each-ref', '--format=%(refname) %(objectname)')
      .trim()
      .split('\n')
      .filter((line) => !line.includes('refs/remotes/') && !line.includes('refs/tags/'));
    writeFileSync(join(directory, '.git/config'), config);
    expect(packed).toBeDefined();

    const id = crypto.randomUUID();
    const rescued = await trees.rescue(tree, id, signal);
    expect(rescued).not.toBeNull();
    expect(treeHash(directory)).toBe(before);
    expect(git(gitDir, 'fsck', '--full', '--strict', '--no-dangling')).toBe('');
    rmSync(directory, { recursive: true });
    mkdirSync(directory);

    const rescue = {
      task_id: tree.task_id,
      repository_url: tree.repository_url,
      ref: rescued!.ref,
      base_commit: tree.base_commit,
    };
    await trees.restore(rescue, disk, USER, signal);
    expect(treeHash(directory)).toBe(before);
    const restored = git(directory, 'for-each-ref', '--format=%(refname) %(objectname)').split('\n');
    for (const ref of refs) expect(restored).toContain(ref);
    expect(git(directory, 'fsck', '--full', '--no-dangling')).toBe('');
    expect(existsSync(canary)).toBe(false);
    expect(lstatSync(join(directory, '.git/HEAD')).uid).toBe(USER.uid);
    // Again: the same.
    const again = await trees.rescue(tree, id, signal);
    expect(again?.tree_sha).toBe(rescued!.tree_sha);
  });

  it('of what is as it was checked out is none', async () => {
    const { tree } = await workspace({
      ...FILES,
      '.gitignore': 'x\n',
      '.gitattributes': '*.bat text eol=crlf\n',
      'a.bat': 'x\ny\n',
    });
    expect(await trees.rescue(tree, crypto.randomUUID(), signal)).toBeNull();
  });

  it('names what it leaves out', async () => {
    const { tree, directory } = await workspace({ ...FILES, '.gitignore': 'big/\n' });
    mkdirSync(join(directory, 'big'));
    write(directory, 'big/file', Buffer.alloc(11 * 1024 * 1024));
    execFileSync('mkfifo', [join(directory, 'fifo')]);
    write(directory, 'sparse', '');
    truncateSync(join(directory, 'sparse'), 1024 ** 4);
    const rescued = await trees.rescue(tree, crypto.randomUUID(), signal);
    expect(rescued?.left_out.map(({ path }) => path).toSorted()).toEqual(['big', 'fifo', 'sparse']);
  });

  it('survives rules of what is ignored that are a FIFO, a link, or a repository that is a link', async () => {
    const { tree, directory } = await workspace();
    execFileSync('mkfifo', [join(directory, 'src/.gitignore')]);
    symlinkSync('/dev/zero', join(directory, 'src/deep/.gitignore'));
    write(directory, 'new', 'new');
    rmSync(join(directory, '.git'), { recursive: true });
    symlinkSync('/etc', join(directory, '.git'));
    const rescued = await trees.rescue(tree, crypto.randomUUID(), signal);
    expect(rescued?.left_out.map(({ why }) => why)).toContain('the .git of the workspace is a link or a file');
    expect(
      git(world.repositories.locate(tree.repository_url), 'ls-tree', '--name-only', rescued!.commit_sha),
    ).toContain('new');
  });

  it('takes the files where the commits are broken, and the commits that are whole', async () => {
    const { tree, directory, gitDir } = await workspace();
    const commit = (name: string) => {
      git(directory, 'checkout', '-q', '-B', name, tree.base_commit!);
      write(directory, `${name}.txt`, name);
      git(directory, 'add', '-A');
      git(directory, ...AUTHOR, 'commit', '-qm', name);
      return git(directory, 'rev-parse', 'HEAD').trim();
    };
    const whole = commit('whole');
    const broken = commit('broken');
    const blob = git(directory, 'rev-parse', `${broken}:broken.txt`).trim();
    const path = join(directory, '.git/objects', blob.slice(0, 2), blob.slice(2));
    chmodSync(path, 0o644);
    writeFileSync(path, readFileSync(join(directory, '.git/objects', whole.slice(0, 2), whole.slice(2))));
    const rescued = await trees.rescue(tree, crypto.randomUUID(), signal);
    expect(rescued?.left_out.map(({ why }) => why).join()).toContain(broken);
    const parents = git(gitDir, 'log', '-1', '--format=%P', rescued!.commit_sha);
    expect(parents).toContain(whole);
    expect(parents).not.toContain(broken);
    expect(git(gitDir, 'show', `${rescued!.commit_sha}:broken.txt`)).toBe('broken');
  });

  it.each([
    ['cat-file', 'kill -9 $$'],
    ['rev-list', 'kill -9 $$'],
    ['pack-objects', 'kill -9 $$'],
    ['index-pack', 'kill -9 $$'],
    ['index-pack', 'echo "fatal: write error: No space left on device" >&2; exit 128'],
    ['index-pack', 'sleep 60'],
  ])('fails, rather than leave commits out, when git %s ends by "%s"', async (command, end) => {
    const { tree, directory } = await workspace();
    write(directory, 'by-agent', 'x\n');
    git(directory, 'add', '-A');
    git(directory, ...AUTHOR, 'commit', '-qm', 'By the agent');
    const bin = mkdtempSync(join(root, 'bin-'));
    const real = execFileSync('sh', ['-c', 'command -v git']).toString().trim();
    const script = `#!/bin/sh\ncase " $* " in *" ${command} "*) ${end} ;; esac\nexec ${real} "$@"\n`;
    writeFileSync(join(bin, 'git'), script, { mode: 0o755 });
    const environment = { PATH: `${bin}:${process.env['PATH']}` };
    const failing = new GitWorld({ home: world.home, environment });
    const remotes = new GitRemotes(failing.config, new AddressPolicy(['127.0.0.1/32']));
    const broken = new GitWorkTrees(new WorkTreeReader(failing.config, failing.git, failing.repositories), remotes);
    const patience = end.startsWith('sleep') ? AbortSignal.timeout(2_000) : signal;
    await expect(broken.rescue(tree, crypto.randomUUID(), patience)).rejects.toThrow();
    const rescued = await trees.rescue(tree, crypto.randomUUID(), signal);
    expect(rescued?.left_out).toEqual([]);
  });

  it('reads changed files only the second time', async () => {
    const { tree, directory } = await workspace();
    write(directory, 'new', 'x'.repeat(100));
    const one = await trees.rescue(tree, crypto.randomUUID(), signal);
    const two = await trees.rescue(tree, crypto.randomUUID(), signal);
    expect(two?.tree_sha).toBe(one?.tree_sha);
    write(directory, 'new', 'y'.repeat(100));
    const three = await trees.rescue(tree, crypto.randomUUID(), signal);
    expect(three?.tree_sha).not.toBe(one?.tree_sha);
  });
});

describe('a diff', () => {
  it('shows what was added, changed, renamed, deleted, made executable', async () => {
    const { tree, directory } = await workspace({ ...FILES, '.gitignore': '*.log\n' });
    write(directory, 'README.md', 'one\ntwo\n');
    write(directory, 'new\nfile', 'n\n');
    write(directory, 'binary', Buffer.from([0, 1, 2]));
    write(directory, 'x.log', 'ignored');
    git(directory, 'mv', 'src/a.txt', 'moved.txt');
    rmSync(join(directory, 'src/deep'), { recursive: true });
    rmSync(join(directory, 'run.sh'));
    symlinkSync('README.md', join(directory, 'run.sh'));
    const { files, ...rest } = await trees.compare(tree, null, signal);
    expect(
      files.map(({ path, old_path, status, additions, deletions, binary }) => [
        path,
        old_path,
        status,
        additions,
        deletions,
        binary,
      ]),
    ).toEqual([
      ['README.md', null, 'modified', 1, 0, false],
      ['binary', null, 'added', 0, 0, true],
      ['src/a.txt', 'src/a.txt', 'renamed', 0, 0, false].with(0, 'moved.txt'),
      ['new\nfile', null, 'added', 1, 0, false],
      ['run.sh', null, 'type_changed', 1, 1, false],
      ['src/deep/b.txt', null, 'deleted', 0, 1, false],
    ]);
    expect(files[0]?.patch).toContain('+two');
    expect(files[4]?.patch).toContain('new file mode 120000');
    expect(files[5]?.patch).toContain('-b');
    expect(rest).toMatchObject({
      base_commit: tree.base_commit,
      total_files: 6,
      additions: 3,
      deletions: 2,
      truncated: false,
    });
    const whole = await text(await trees.patch(tree, null, signal));
    git(directory, 'reset', '-q', '--hard');
    expect(whole).toContain('rename to moved.txt');
    expect(await text(await trees.patch(tree, 'README.md', signal))).toBe('');
  });

  it('has caps', async () => {
    const { tree, directory } = await workspace();
    write(directory, 'long.txt', 'line\n'.repeat(200_000));
    const { files, truncated } = await trees.compare(tree, 'long.txt', signal);
    expect(truncated).toBe(true);
    expect(files[0]).toMatchObject({ path: 'long.txt', additions: 200_000, truncated: true });
    expect(files[0]!.patch!.length).toBeLessThanOrEqual(256 * 1024);
  });

  it('runs nothing of what the workspace says', async () => {
    const { tree, directory } = await workspace();
    const canary = join(root, 'canary-diff');
    new DirtyWorkTree(directory, 7).soil(canary);
    await trees.compare(tree, null, signal);
    await text(await trees.patch(tree, null, signal));
    expect(existsSync(canary)).toBe(false);
  });
});

describe('a commit', () => {
  const by = { author: ANA, message: 'Mend it', branch: 'kandev/x' };

  it('has the files, the author, and the base below it', async () => {
    const { tree, directory, gitDir } = await workspace({ ...FILES, '.gitignore': '*.log\n' });
    expect(await trees.commit(tree, by, signal)).toMatchObject({ committed: false, commit: null });
    write(directory, 'README.md', 'changed\n');
    write(directory, 'x.log', 'ignored\n');
    const { committed, commit } = await trees.commit(tree, by, signal);
    expect(committed).toBe(true);
    expect(git(gitDir, 'log', '-1', '--format=%an %ae %cn %s %P', commit!).trim()).toBe(
      `ana ana@example.com Kandev Mend it ${tree.base_commit}`,
    );
    expect(git(gitDir, 'diff', '--name-only', tree.base_commit!, commit!).trim()).toBe('README.md');
    const next = { ...tree, branch_commit: commit };
    expect(await trees.commit(next, by, signal)).toMatchObject({ committed: false, commit });
  });

  it('leaves the branch where it is when an agent has gone on meanwhile', async () => {
    const { tree, directory, gitDir } = await workspace();
    write(directory, 'README.md', 'changed\n');
    const before = git(gitDir, 'for-each-ref', '--format=%(refname) %(objectname)', 'refs/kandev', 'refs/heads');
    const confirm = () => Promise.reject(new Error('it works again'));
    await expect(trees.commit(tree, { ...by, confirm }, signal)).rejects.toThrow('it works again');
    const heads = (list: string) => list.split('\n').filter((line) => !line.includes('/worktree '));
    const after = git(gitDir, 'for-each-ref', '--format=%(refname) %(objectname)', 'refs/kandev', 'refs/heads');
    expect(heads(after)).toEqual(heads(before));
  });

  it('stands on the own commits of the agent', async () => {
    const { tree, directory, gitDir } = await workspace();
    write(directory, 'by-agent', 'x\n');
    git(directory, 'add', '-A');
    git(directory, ...AUTHOR, 'commit', '-qm', 'By the agent');
    const head = git(directory, 'rev-parse', 'HEAD').trim();
    expect(await trees.commit(tree, by, signal)).toMatchObject({ committed: true, commit: head });
    write(directory, 'later', 'y\n');
    const { commit } = await trees.commit({ ...tree, branch_commit: head }, by, signal);
    expect(git(gitDir, 'log', '-1', '--format=%P', commit!).trim()).toBe(head);
    // The agent goes back and elsewhere: both are below the next commit.
    git(directory, 'checkout', '-q', '-f', '-B', 'other', tree.base_commit!);
    write(directory, 'other', 'z\n');
    git(directory, 'add', '-A');
    git(directory, ...AUTHOR, 'commit', '-qm', 'Elsewhere');
    const other = git(directory, 'rev-parse', 'HEAD').trim();
    const merged = await trees.commit({ ...tree, branch_commit: commit }, by, signal);
    expect(git(gitDir, 'log', '-1', '--format=%P', merged.commit!).trim()).toBe(`${commit} ${other}`);
  });

  it('is pushed, and refused where the remote has moved on', async () => {
    const { tree, directory, remote } = await workspace();
    write(directory, 'README.md', 'changed\n');
    const { commit } = await trees.commit(tree, by, signal);
    const of = {
      task_id: tree.task_id,
      base_commit: tree.base_commit,
      repository_url: remote,
      branch: 'kandev/x',
      commit: commit!,
    };
    await trees.push(of, { user_id: null, secrets: [] }, signal);
    expect(git(remote, 'rev-parse', 'refs/heads/kandev/x').trim()).toBe(commit);
    expect(git(remote, 'for-each-ref', '--format=%(refname)').trim().split('\n')).toEqual([
      'refs/heads/kandev/x',
      'refs/heads/main',
    ]);
    const moved = git(remote, ...AUTHOR, 'commit-tree', '-p', commit!, '-m', 'Elsewhere', `${commit}^{tree}`).trim();
    git(remote, 'update-ref', 'refs/heads/kandev/x', moved);
    const rival = { ...of, commit: tree.base_commit! };
    await expect(trees.push(rival, { user_id: null, secrets: [] }, signal)).rejects.toMatchObject({ why: 'rejected' });
    await expect(trees.push(rival, { user_id: null, secrets: [], lease: commit }, signal)).rejects.toMatchObject({
      why: 'rejected',
    });
    await trees.push(rival, { user_id: null, secrets: [], lease: moved }, signal);
    expect(git(remote, 'rev-parse', 'refs/heads/kandev/x').trim()).toBe(tree.base_commit);
  });

  it('with a secret is not pushed', async () => {
    const { tree, directory, remote } = await workspace();
    const secret = 'ghp_0123456789abcdefghij';
    write(directory, 'README.md', `token: ${Buffer.from(secret).toString('base64')}\n`);
    const { commit } = await trees.commit(tree, by, signal);
    const of = {
      task_id: tree.task_id,
      base_commit: tree.base_commit,
      repository_url: remote,
      branch: 'kandev/x',
      commit: commit!,
    };
    await expect(trees.push(of, { user_id: null, secrets: [secret] }, signal)).rejects.toMatchObject({ why: 'secret' });
    expect(git(remote, 'for-each-ref', '--format=%(refname)')).not.toContain('kandev');
  });
});

describe('what belongs to another task', () => {
  const by = { author: ANA, message: 'Mend it', branch: 'kandev/x' };

  /** A task whose ignored secret was rescued, and a second task of the same repository. */
  async function neighbours() {
    const victim = await workspace({ ...FILES, '.gitignore': '.env\n' });
    write(victim.directory, '.env', SECRET);
    const rescued = await trees.rescue(victim.tree, crypto.randomUUID(), signal);
    const { gitDir, remote } = victim;
    const { directory, task_id, base_commit } = await world.clone({ repository_url: remote });
    const known = { repository_url: remote, branch_commit: null, pushed_commit: null };
    const tree: WorkTree = { ...known, task_id, base_commit, root: directory };
    const secret = git(gitDir, 'rev-parse', `${rescued!.commit_sha}:.env`).trim();
    return { tree, directory, gitDir, rescued: rescued!, secret, disk: world.disk(task_id), remote };
  }
  const SECRET = 'PASSWORD=of the victim\n';

  it('is not got by naming it in a ref', async () => {
    const { tree, directory, rescued, gitDir, disk, remote } = await neighbours();
    for (const name of ['x', 'kandev/x', 'main']) {
      mkdirSync(join(directory, '.git/refs/heads/kandev'), { recursive: true });
      write(directory, `.git/refs/heads/${name}`, `${rescued.commit_sha}\n`);
    }
    write(directory, '.git/HEAD', 'ref: refs/heads/x\n');
    write(directory, 'mine', 'mine\n');
    const { commit, left_out } = await trees.commit(tree, by, signal);
    expect(left_out).toContainEqual(
      expect.objectContaining({ path: '.git/refs/heads/x', why: expect.stringContaining('not its own') }),
    );
    expect(git(gitDir, 'log', '-1', '--format=%P', commit!).trim()).toBe(tree.base_commit);
    const of = { task_id: tree.task_id, base_commit: tree.base_commit, repository_url: remote, branch: 'kandev/x' };
    await trees.push({ ...of, commit: commit! }, { user_id: null, secrets: [] }, signal);
    expect(has(remote, commit!)).toBe(true);
    expect(has(remote, rescued.commit_sha)).toBe(false);

    const mine = await trees.rescue(tree, crypto.randomUUID(), signal);
    expect(mine!.left_out.map(({ path }) => path)).toContain('.git/refs/heads/x');
    rmSync(directory, { recursive: true });
    mkdirSync(directory);
    await trees.restore({ ...tree, ref: mine!.ref }, disk, USER, signal);
    expect(has(directory, tree.base_commit!)).toBe(true);
    expect(has(directory, rescued.commit_sha)).toBe(false);
    expect(existsSync(join(directory, '.env'))).toBe(false);
    expect(existsSync(join(directory, 'mine'))).toBe(true);
  });

  it.each(['absent', 'under its name, as something else'])('is not got by a commit that names it (%s)', async (how) => {
    const { tree, directory, secret, rescued } = await neighbours();
    const listed = `100644 blob ${secret}\tstolen\n`;
    const say = (input: string, ...args: string[]): string =>
      execFileSync('git', ['-c', 'safe.directory=*', ...args], { cwd: directory, input, encoding: 'utf8' }).trim();
    const made = say(listed, 'mktree', '--missing');
    const evil = git(directory, ...AUTHOR, 'commit-tree', '-m', 'x', '-p', tree.base_commit!, made).trim();
    const heir = git(directory, ...AUTHOR, 'hash-object', '-t', 'commit', '-w', '--literally', parented()).trim();
    write(directory, '.git/refs/heads/evil', `${evil}\n`);
    write(directory, '.git/refs/heads/heir', `${heir}\n`);
    if (how !== 'absent') {
      const decoy = say('decoy\n', 'hash-object', '-w', '--stdin');
      mkdirSync(join(directory, '.git/objects', secret.slice(0, 2)), { recursive: true });
      copyFileSync(
        join(directory, '.git/objects', decoy.slice(0, 2), decoy.slice(2)),
        join(directory, '.git/objects', secret.slice(0, 2), secret.slice(2)),
      );
    }
    const { left_out } = await trees.commit(tree, by, signal);
    expect(left_out.map(({ path }) => path).toSorted()).toEqual(['.git/refs/heads/evil', '.git/refs/heads/heir']);

    function parented(): string {
      const path = join(root, `commit-${crypto.randomUUID()}`);
      const person = 'a <a@example.com> 0 +0000';
      const tip = git(directory, 'rev-parse', 'HEAD^{tree}').trim();
      const content = `tree ${tip}\nparent ${rescued.commit_sha}\nauthor ${person}\ncommitter ${person}\n\nx\n`;
      writeFileSync(path, content);
      return path;
    }
  });

  it('does not keep the agent from its own: an old file that is back, its own commits once they were restored', async () => {
    const { tree, directory, gitDir } = await workspace();
    const { remote } = { remote: tree.repository_url! };
    write(directory, 'README.md', 'two\n');
    git(directory, ...AUTHOR, 'commit', '-qam', 'Two');
    git(directory, 'push', '-q', remote, 'HEAD:refs/heads/main');
    const { directory: next, task_id, base_commit } = await world.clone({ repository_url: remote });
    write(next, 'README.md', 'one\n');
    git(next, ...AUTHOR, 'commit', '-qam', 'One again');
    const mine: WorkTree = { ...tree, task_id, base_commit, root: next };
    const head = git(next, 'rev-parse', 'HEAD').trim();
    expect(await trees.commit(mine, by, signal)).toMatchObject({ commit: head, left_out: [] });
    const rescued = await trees.rescue(mine, crypto.randomUUID(), signal);
    rmSync(next, { recursive: true });
    mkdirSync(next);
    await trees.restore({ ...mine, ref: rescued!.ref }, world.disk(task_id), USER, signal);
    expect(await trees.commit(mine, by, signal)).toMatchObject({ left_out: [] });
    expect(git(gitDir, 'for-each-ref', '--format=%(refname)')).toContain(`${task_id}/restored`);
    await trees.forget(mine);
    expect(git(gitDir, 'for-each-ref', '--format=%(refname)')).not.toContain(`${task_id}/restored`);
  });
});

function has(repository: string, id: string): boolean {
  return spawnSync('git', ['-c', 'safe.directory=*', 'cat-file', '-e', id], { cwd: repository }).status === 0;
}

it('takes what a row names and our repository lacks for nothing', async () => {
  const { tree, directory } = await workspace();
  write(directory, 'new', 'new');
  const lost = { ...tree, branch_commit: 'b'.repeat(40), pushed_commit: 'c'.repeat(40) };
  expect(await trees.rescue(lost, crypto.randomUUID(), signal)).toMatchObject({ left_out: [] });
  const by = { author: ANA, message: 'x', branch: 'kandev/x' };
  expect(await trees.commit(lost, by, signal)).toMatchObject({ committed: true });
});

it('reads nothing where the disk is nearly full, and fetches nothing', async () => {
  const { tree, directory, remote } = await workspace();
  write(directory, 'new', 'new');
  Object.assign(world.config.workspace, { min_free_bytes: Number.MAX_SAFE_INTEGER });
  await expect(trees.rescue(tree, crypto.randomUUID(), signal)).rejects.toMatchObject({ kind: 'unavailable' });
  await expect(world.clone({ repository_url: remote })).rejects.toMatchObject({ code: 'workspace.disk_unavailable' });
});

it('does not wait for rules that git would take minutes for', async () => {
  const { tree, directory } = await workspace();
  const name = 'a'.repeat(200);
  const deep = 'a/'.repeat(60);
  mkdirSync(join(directory, deep), { recursive: true });
  write(directory, `${deep}${name}`, 'x\n');
  write(directory, '.gitignore', `${'**/a/'.repeat(30)}b\n${'*a'.repeat(60)}b\n*.log\n`);
  write(directory, 'x.log', 'ignored\n');
  const { files } = await trees.compare(tree, null, AbortSignal.timeout(20_000));
  expect(files.map(({ path }) => path).toSorted()).toEqual(['.gitignore', `${deep}${name}`]);
});

it('leaves no scratch files', async () => {
  const { tree, directory } = await workspace();
  write(directory, 'new', 'new');
  await trees.rescue(tree, crypto.randomUUID(), signal);
  expect(readdirSync(join(world.home, 'git/scratch'))).toEqual([]);
});
