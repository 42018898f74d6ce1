import { execFileSync, spawnSync } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import {
  appendFileSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, request as forward } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { NameLookup } from '../../src/common/net/name-lookup.js';
import { startGitDaemon } from '../support/git-daemon.js';
import { GitServer } from '../support/git-server.js';
import { GitWorld, type GitSettings } from '../support/git-world.js';
import { git, makeRepository } from '../support/repository.js';
import { until } from '../support/until.js';

const AUTHOR = ['-c', 'user.name=T', '-c', 'user.email=t@example.com'];
const WORK_BRANCH = 'kandev/1a2b3c4d-task';

let root: string;
let server: GitServer;
let world: GitWorld;
const worlds: GitWorld[] = [];

/** Another home with other settings; or the same home after a restart. */
function open(settings: GitSettings = {}): GitWorld {
  worlds.push(new GitWorld(settings));
  return worlds.at(-1) as GitWorld;
}

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'kandev-upstream-'));
  server = await GitServer.start(root);
});
afterAll(async () => {
  await server.close();
  rmSync(root, { recursive: true, force: true });
});
beforeEach(() => {
  world = open();
  server.requests.length = 0;
  server.users = [];
  server.redirect = null;
});
afterEach(() => {
  server.flow();
  for (const one of worlds.splice(0)) one.dispose();
});

/** A repository of the server with some commits on `main`; its directory and its address. */
function upstream(commits = 3): { directory: string; url: string } {
  const directory = makeRepository(root, { 'README.md': 'one\n', 'src/deep/er/file.txt': 'x\n' });
  for (let number = 1; number < commits; number++) commit(directory, `Change ${number}`);
  return { directory, url: server.url(`${directory.slice(root.length + 1)}/.git`) };
}

function commit(directory: string, message: string, file = 'README.md', content: string | Buffer = message): string {
  writeFileSync(join(directory, file), content);
  if (typeof content === 'string') appendFileSync(join(directory, file), ` ${crypto.randomUUID()}\n`);
  git(directory, 'add', '-A');
  git(directory, ...AUTHOR, 'commit', '-qm', message);
  return head(directory);
}

const head = (directory: string, ref = 'HEAD') => git(directory, 'rev-parse', ref).trim();
const lines = (directory: string, ...args: string[]) =>
  git(directory, ...args)
    .trim()
    .split('\n')
    .toSorted();
const CLONE_FAILED = { code: 'workspace.clone_failed' };
const REFUSED = { code: 'workspace.repository_refused' };
const TOO_LARGE = { code: 'workspace.too_large' };

describe('a workspace', () => {
  it('has history, files and the branch of its task, and nothing that leads back to our copy', async () => {
    const { directory, url } = upstream();
    git(directory, 'branch', 'other');
    git(directory, 'tag', 'v1');
    const { directory: workspace, base_commit, base_branch, task_id } = await world.clone({ repository_url: url });
    expect({ base_commit, base_branch }).toEqual({ base_commit: head(directory), base_branch: 'main' });
    expect(git(workspace, 'rev-parse', '--abbrev-ref', 'HEAD').trim()).toBe(WORK_BRANCH);
    expect(head(workspace)).toBe(head(directory));
    expect(git(workspace, 'rev-list', '--count', 'HEAD').trim()).toBe('3');
    expect(git(workspace, 'status', '--porcelain')).toBe('');
    expect(git(workspace, 'remote', 'get-url', 'origin').trim()).toBe(url);
    const refs = [`refs/heads/${WORK_BRANCH}`, 'refs/remotes/origin/main', 'refs/tags/v1'];
    expect(lines(workspace, 'for-each-ref', '--format=%(refname)')).toEqual(refs);
    expect(existsSync(join(workspace, '.git/objects/info/alternates'))).toBe(false);
    expect(existsSync(join(workspace, '.git/hooks'))).toBe(false);
    expect(spawnSync('grep', ['-raq', world.home, join(workspace, '.git')]).status).toBe(1);
    for (const file of ['README.md', '.git/config', '.git', 'src/deep/er'])
      expect(lstatSync(join(workspace, file))).toMatchObject({ uid: 10_001, gid: 10_001 });
    for (const file of readdirSync(join(workspace, '.git/objects/pack')))
      expect(lstatSync(join(workspace, '.git/objects/pack', file)).nlink).toBe(1);
    git(workspace, 'fsck', '--strict');
    expect(head(world.repositories.locate(url), `refs/kandev/tasks/${task_id}/base`)).toBe(base_commit);
    expect(readdirSync(join(workspace, '..'))).toEqual(['workspace']);
  });

  it('can be of another branch, of a tag, and of the branch where both have one name', async () => {
    const { directory, url } = upstream();
    git(directory, ...AUTHOR, 'tag', '-a', '-m', 'x', 'v1', 'HEAD~1');
    git(directory, 'branch', 'both', 'HEAD~1');
    git(directory, 'tag', 'both', 'HEAD~2');
    git(directory, 'branch', 'feature/one', 'HEAD~2');
    const branch = await world.clone({ repository_url: url, branch: 'feature/one' });
    expect(branch).toMatchObject({ base_commit: head(directory, 'HEAD~2'), base_branch: 'feature/one' });
    const tag = await world.clone({ repository_url: url, branch: 'v1' });
    expect(tag).toMatchObject({ base_commit: head(directory, 'HEAD~1'), base_branch: 'v1' });
    expect(head(tag.directory)).toBe(head(directory, 'HEAD~1'));
    const both = await world.clone({ repository_url: url, branch: 'both' });
    expect(both.base_commit).toBe(head(directory, 'HEAD~1'));
  });

  it('can be of a HEAD that is on no branch, of an empty repository, and of none', async () => {
    const { directory, url } = upstream();
    git(directory, 'checkout', '-q', '--detach', 'HEAD~1');
    const detached = await world.clone({ repository_url: url });
    expect(detached).toMatchObject({ base_commit: head(directory), base_branch: null });
    expect(git(detached.directory, 'rev-parse', '--abbrev-ref', 'HEAD').trim()).toBe(WORK_BRANCH);
    const empty = mkdtempSync(join(root, 'empty-'));
    git(empty, 'init', '-q', '--bare');
    const of = await world.clone({ repository_url: server.url(empty.slice(root.length + 1)) });
    expect(of).toMatchObject({ base_commit: null, base_branch: null });
    expect(git(of.directory, 'symbolic-ref', 'HEAD').trim()).toBe(`refs/heads/${WORK_BRANCH}`);
    const none = await world.clone({ repository_url: null });
    expect(none).toMatchObject({ base_commit: null, base_branch: null });
    expect(readdirSync(none.directory)).toEqual([]);
    expect(lstatSync(none.directory).uid).toBe(10_001);
  });

  it('is of SHA-256 where the repository is', async () => {
    const directory = mkdtempSync(join(root, 'sha256-'));
    git(directory, 'init', '-q', '--object-format=sha256', '--initial-branch=main');
    const sha = commit(directory, 'First');
    const { base_commit, directory: workspace } = await world.clone({ repository_url: directory });
    expect([base_commit, head(workspace)]).toEqual([sha, sha]);
  });

  it('says which branch there is not', async () => {
    const { url, directory } = upstream();
    await expect(world.clone({ repository_url: url, branch: 'feature/none' })).rejects.toMatchObject({
      ...CLONE_FAILED,
      message: 'The repository has no branch and no tag feature/none.',
    });
    git(directory, 'symbolic-ref', 'HEAD', 'refs/heads/nowhere');
    await expect(world.clone({ repository_url: url })).rejects.toThrow(/default branch is none of them/);
  });

  it('that is there is left as it is, and what it was made from is still known', async () => {
    const { directory, url } = upstream();
    const first = await world.clone({ repository_url: url, branch: 'main' });
    rmSync(join(first.directory, '.git'), { recursive: true });
    writeFileSync(join(first.directory, 'README.md'), 'mine');
    const base = head(directory);
    commit(directory, 'Later');
    server.requests.length = 0;
    const again = await world.clone({ repository_url: url, task_id: first.task_id });
    expect(again).toMatchObject({ base_commit: base, base_branch: 'main' });
    expect(readFileSync(join(first.directory, 'README.md'), 'utf8')).toBe('mine');
    expect(server.requests).toEqual([]);
  });

  it('has so many commits of history as are wanted', async () => {
    const { directory, url } = upstream(6);
    const shallow = open({ depth: 2 });
    const count = ({ directory: workspace }: { directory: string }) =>
      Number(git(workspace, 'rev-list', '--count', 'HEAD'));
    expect(count(await shallow.clone({ repository_url: url }))).toBe(2);
    expect(count(await shallow.clone({ repository_url: url }))).toBe(2);
    for (let number = 0; number < 4; number++) commit(directory, `Later ${number}`);
    expect(count(await shallow.clone({ repository_url: url }))).toBe(2);
    expect(count(await open({ home: shallow.home, depth: 5 }).clone({ repository_url: url }))).toBe(5);
    const whole = open({ home: shallow.home });
    expect(count(await whole.clone({ repository_url: url }))).toBe(10);
    // From then on all of it is here: a short workspace costs no shortening of our own.
    expect(count(await shallow.clone({ repository_url: url }))).toBe(2);
    expect(count(await whole.clone({ repository_url: url }))).toBe(10);
    git(whole.repositories.locate(url), 'fsck', '--strict');
  });
});

describe('our copy of a repository', () => {
  it('is asked for a pack once; then one question tells that nothing is new', async () => {
    const { directory, url } = upstream();
    await world.clone({ repository_url: url });
    expect(server.packs()).toBe(1);
    server.requests.length = 0;
    await world.clone({ repository_url: url });
    expect(server.packs()).toBe(0);
    expect(server.requests.length).toBeLessThanOrEqual(2); // what there is, and which refs
    const later = commit(directory, 'Later');
    expect((await world.clone({ repository_url: url })).base_commit).toBe(later);
    expect(server.packs()).toBe(1);
  });

  it('is fetched once by many who come at the same time', async () => {
    const { url } = upstream();
    const other = open({ home: world.home });
    const made = await Promise.all(
      [world, world, other, other, world].map((one) => one.clone({ repository_url: url })),
    );
    expect(new Set(made.map(({ base_commit }) => base_commit)).size).toBe(1);
    expect(server.packs()).toBe(1);
    expect(readdirSync(join(world.home, 'git/repositories'))).toHaveLength(1); // and no lock is left
  });

  it('follows what was overwritten, removed and renamed upstream, and keeps what tasks start from', async () => {
    const { directory, url } = upstream();
    git(directory, 'branch', 'topic');
    const first = await world.clone({ repository_url: url });
    await world.clone({ repository_url: url, branch: 'topic' });
    git(directory, 'reset', '-q', '--hard', 'HEAD~2');
    const forced = commit(directory, 'Instead');
    expect((await world.clone({ repository_url: url })).base_commit).toBe(forced);
    git(directory, 'branch', '-D', 'topic');
    await expect(world.clone({ repository_url: url, branch: 'topic' })).rejects.toThrow(/no branch and no tag topic/);
    git(directory, 'branch', 'topic/one');
    expect((await world.clone({ repository_url: url, branch: 'topic/one' })).base_commit).toBe(forced);
    git(directory, 'branch', '-D', 'topic/one');
    git(directory, 'branch', 'topic');
    expect((await world.clone({ repository_url: url, branch: 'topic' })).base_commit).toBe(forced);
    git(directory, 'tag', 'moving');
    await world.clone({ repository_url: url, branch: 'moving' });
    git(directory, 'tag', '-f', 'moving', 'HEAD~1');
    expect((await world.clone({ repository_url: url, branch: 'moving' })).base_commit).toBe(head(directory, 'HEAD~1'));
    const ours = world.repositories.locate(url);
    expect(await world.repositories.prune(url)).toBe(true);
    expect(head(ours, `refs/kandev/tasks/${first.task_id}/base`)).toBe(first.base_commit);
    git(ours, 'fsck', '--strict');
    expect((await world.repositories.sizes())[0]?.bytes).toBeGreaterThan(1000);
    await world.clone({ repository_url: url });
  });

  it('that a fetch was killed in, with all the locks there are, is fetched into again', async () => {
    const { directory, url } = upstream();
    await world.clone({ repository_url: url });
    commit(directory, 'Large', 'large.bin', Buffer.from(crypto.getRandomValues(new Uint8Array(65_536))));
    for (let number = 0; number < 40; number++)
      writeFileSync(join(directory, `more-${number}`), crypto.getRandomValues(new Uint8Array(65_536)));
    const later = commit(directory, 'More');
    server.stallAfter = 500_000;
    const stop = new AbortController();
    const task_id = crypto.randomUUID();
    const killed = world.clone({ repository_url: url, task_id }, stop.signal);
    await until('the server holds the pack back', () => server.isStalling);
    stop.abort(new Error('the server ends'));
    await expect(killed).rejects.toThrow('the server ends');
    server.flow();
    const ours = world.repositories.locate(url);
    for (const file of ['shallow.lock', 'refs/remotes/origin/main.lock', 'objects/pack/tmp_pack_x', 'packed-refs.lock'])
      writeFileSync(join(ours, file), '');
    execFileSync('touch', ['-d', '2 hours ago', join(ours, 'packed-refs.lock')]);
    writeFileSync(join(ours, '..', 'a-lock'), '');
    writeFileSync(`${ours}.fetching`, `${process.pid} 1`); // of a process that had our number before us
    expect(readdirSync(world.disk(task_id).root)).toEqual(['workspace']);
    mkdirSync(join(world.disk(task_id).root, `.partial-${crypto.randomUUID()}`));
    expect((await world.clone({ repository_url: url, task_id })).base_commit).toBe(later);
    expect(readdirSync(world.disk(task_id).root)).toEqual(['workspace']);
    expect(readdirSync(join(ours, 'objects/pack')).filter((name) => name.startsWith('tmp_'))).toEqual([]);
  });

  it('is not fetched again when the checkout was what failed', async () => {
    const { url } = upstream();
    const task_id = crypto.randomUUID();
    const disk = world.disk(task_id);
    rmSync(disk.root, { recursive: true });
    writeFileSync(disk.root, 'in the way');
    await expect(
      world.workspaces.prepare(
        { task_id, repository_url: url, branch: null, work_branch: WORK_BRANCH, requested_by: null },
        disk,
        { uid: 10_001, gid: 10_001 },
        () => undefined,
        new AbortController().signal,
      ),
    ).rejects.toThrow();
    rmSync(disk.root);
    expect(server.packs()).toBe(1);
    await world.clone({ repository_url: url, task_id });
    expect(server.packs()).toBe(1);
  });

  it('waits for a lock of a process that lives, until it is told to stop', async () => {
    const { url } = upstream();
    await world.clone({ repository_url: url });
    const stat = readFileSync(`/proc/${process.ppid}/stat`, 'utf8');
    const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    const lock = `${world.repositories.locate(url)}.fetching`;
    writeFileSync(lock, `${process.ppid} ${started}`);
    await expect(world.clone({ repository_url: url }, AbortSignal.timeout(300))).rejects.toThrow(/timeout/i);
    expect(await world.repositories.prune(url)).toBe(false);
    const waiting = world.clone({ repository_url: url });
    rmSync(lock);
    await waiting;
  });

  it('of one address is never taken for that of another', () => {
    const locate = (url: string | null) => world.repositories.locate(url);
    expect(locate(null)).toMatch(/none\.git$/);
    expect(new Set([locate('https://h/a'), locate('https://h/b'), locate('http://h/a'), locate(null)]).size).toBe(4);
    expect(locate('https://H/a/')).toBe(locate('https://h:443/a'));
  });
});

describe('whoever asks', () => {
  it('needs rights of their own, also where a copy is here already', async () => {
    const { url } = upstream();
    server.users = ['ann:s3cret-of-ann'];
    const homes: Record<string, string> = {
      ann: mkdtempSync(join(root, 'ann-')),
      bob: mkdtempSync(join(root, 'bob-')),
    };
    const store = (name: string, password: string) =>
      writeFileSync(
        join(homes[name] as string, '.git-credentials'),
        `http://${name}:${password}@127.0.0.1:${server.port}\n`,
      );
    store('ann', 's3cret-of-ann');
    store('bob', 's3cret-of-bob');
    const used: unknown[] = [];
    const forGit: GitSettings['forGit'] = (user, use) => {
      if (use) used.push({ user, use });
      const GIT_CONFIG_VALUE_0 = `store --file=${homes[user ?? '']}/.git-credentials`;
      const environment: Record<string, string> = user
        ? { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'credential.helper', GIT_CONFIG_VALUE_0 }
        : {};
      return Promise.resolve({
        environment,
        secrets: [`s3cret-of-${user}`],
      });
    };
    const many = open({ forGit });
    const ann = await many.clone({ repository_url: url, requested_by: 'ann' });
    expect(ann.base_branch).toBe('main');
    expect(used).toEqual([{ user: 'ann', use: { task_id: ann.task_id, action: 'clone' } }]);
    for (const requested_by of ['bob', null])
      await expect(many.clone({ repository_url: url, requested_by })).rejects.toMatchObject(CLONE_FAILED);
    await expect(many.clone({ repository_url: url, requested_by: 'bob' })).rejects.not.toThrow(/s3cret/);
    await many.clone({ repository_url: url, requested_by: 'ann' });
  });

  it("has what the server's own home has, where nobody looks after credentials; it is only read", async () => {
    const { url } = upstream();
    server.users = ['ann:right'];
    const file = join(world.home, '.git-credentials');
    writeFileSync(file, `http://ann:right@127.0.0.1:${server.port}\n`);
    await world.clone({ repository_url: url });
    const wrong = `http://ann:wrong@127.0.0.1:${server.port}\n`;
    writeFileSync(file, wrong);
    await expect(world.clone({ repository_url: url })).rejects.toMatchObject(CLONE_FAILED);
    expect(readFileSync(file, 'utf8')).toBe(wrong);
  });
});

describe('too much', () => {
  const noise = (bytes: number) => {
    const parts = Array.from({ length: bytes / 65_536 }, () => crypto.getRandomValues(new Uint8Array(65_536)));
    return Buffer.concat(parts);
  };

  it('is a repository that grows past the limit while it is fetched', async () => {
    const { directory, url } = upstream();
    commit(directory, 'Large', 'large.bin', noise(40 * 1024 ** 2));
    const small = open({ max_bytes: 2 * 1024 ** 2 });
    server.stallAfter = 8 * 1024 ** 2;
    await expect(small.clone({ repository_url: url })).rejects.toMatchObject({
      ...TOO_LARGE,
      message: expect.stringMatching(/more than 2 MiB.*KANDEV_MAX_REPOSITORY_BYTES/),
    });
    expect((await small.repositories.sizes())[0]?.bytes ?? 0).toBeLessThan(1024 ** 2);
  });

  it('is a repository whose files are larger than all that was fetched', async () => {
    const { directory, url } = upstream();
    commit(directory, 'Zeros', 'zeros.bin', Buffer.alloc(64 * 1024 ** 2));
    const small = open({ max_bytes: 16 * 1024 ** 2 });
    await expect(small.clone({ repository_url: url })).rejects.toMatchObject(TOO_LARGE);
  });

  it('is a tree of trees with more files than there are names for', async () => {
    const { directory, url } = upstream();
    const input = (type: string, text: string) =>
      execFileSync(
        'git',
        ['-C', directory, type === 'blob' ? 'hash-object' : 'mktree', ...(type === 'blob' ? ['-w', '--stdin'] : [])],
        {
          input: text,
          encoding: 'utf8',
        },
      ).trim();
    let entry = `100644 blob ${input('blob', 'x')}`;
    for (let depth = 0; depth < 10; depth++) {
      const tree = Array.from({ length: 10 }, (_, index) => `${entry}\tx${index}\n`).join('');
      entry = `040000 tree ${input('tree', tree)}`;
    }
    const bomb = git(directory, ...AUTHOR, 'commit-tree', '-m', 'x', entry.split(' ')[2] as string).trim();
    git(directory, 'update-ref', 'refs/heads/bomb', bomb);
    const small = open({ max_bytes: 64 * 1024 ** 2 });
    await expect(small.clone({ repository_url: url, branch: 'bomb' })).rejects.toMatchObject(TOO_LARGE);
  });

  it.runIf(process.getuid?.() === 0)(
    'is what does not fit on the disk of the task; nothing of it stays there',
    async () => {
      const { directory, url } = upstream();
      commit(directory, 'Large', 'large.bin', noise(6 * 1024 ** 2));
      const task_id = crypto.randomUUID();
      const { root: disk } = world.disk(task_id);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=9m', 'none', disk]); // its history fits, its files don't
      try {
        await expect(world.clone({ repository_url: url, task_id })).rejects.toMatchObject({
          ...TOO_LARGE,
          message: expect.stringMatching(/does not fit on the disk/),
        });
        expect(readdirSync(disk)).toEqual(['workspace']);
      } finally {
        execFileSync('umount', [disk]);
      }
    },
  );

  it('is a server that takes longer than the limit', async () => {
    const { directory, url } = upstream();
    commit(directory, 'Large', 'large.bin', noise(1024 ** 2));
    server.stallAfter = 100_000;
    const hasty = open({ clone_seconds: 1 });
    await expect(hasty.clone({ repository_url: url })).rejects.toMatchObject({
      ...CLONE_FAILED,
      message: 'git took longer than 1 s (KANDEV_CLONE_TIMEOUT_SECONDS).',
    });
  });
});

it('tells how far it is', async () => {
  const { url } = upstream(30);
  await world.clone({ repository_url: url });
  const messages = world.progress.map(({ message }) => message);
  expect(messages[0]).toBe(`cloning ${url}`);
  expect(messages).toContain('fetching the repository: receiving objects');
  expect(messages.at(-1)).toBe('checking out the files');
  const whole = world.progress.findLast(({ message }) => message.endsWith('receiving objects'))?.details;
  expect(whole).toMatchObject({ percent: 100, objects_done: whole?.['objects_total'] });
});

describe('the way to a repository', () => {
  let names: Socket;
  let asked = 0;
  let address = [127, 0, 0, 1];

  /** Knows one name: whatever it is, it is at `address`. */
  beforeAll(async () => {
    names = createSocket('udp4', (query, { port }) => {
      asked++;
      const answer = Buffer.concat([query, Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...address])]);
      answer.writeUInt16BE(0x8180, 2);
      const isIpv4 = query.readUInt16BE(query.length - 4) === 1;
      answer.writeUInt16BE(isIpv4 ? 1 : 0, 6);
      names.send(isIpv4 ? answer : answer.subarray(0, query.length), port, '127.0.0.1');
    });
    names.bind(0, '127.0.0.1');
    await once(names, 'listening');
  });
  afterAll(() => names.close());
  const lookup = () => new NameLookup([`127.0.0.1:${names.address().port}`]);

  it('is the address that was looked at, by HTTP: git resolves nothing anew', async () => {
    const { directory, url } = upstream();
    const named = open({ names: lookup() });
    const repository_url = url.replace('127.0.0.1', 'git.example'); // which nobody else knows
    const before = asked;
    const made = await named.clone({ repository_url });
    expect(made.base_commit).toBe(head(directory));
    expect(git(made.directory, 'remote', 'get-url', 'origin').trim()).toBe(repository_url);
    expect(asked - before).toBeLessThanOrEqual(2); // for either family once
  });

  it.each([[[10, 0, 0, 1]], [[169, 254, 169, 254]], [[127, 0, 0, 1]], [[0, 0, 0, 0]]])(
    'is none where a name leads to %j',
    async (bytes) => {
      address = bytes;
      const named = open({ names: lookup(), ranges: [] });
      try {
        for (const repository_url of ['http://git.example/a', 'git@git.example:a', 'git://git.example/a'])
          await expect(named.clone({ repository_url })).rejects.toMatchObject({
            ...REFUSED,
            message: expect.stringMatching(/git\.example resolves to .*KANDEV_ALLOWED_PRIVATE_RANGES/),
          });
      } finally {
        address = [127, 0, 0, 1];
      }
    },
  );

  it("is the address that was looked at, by SSH: the host's key is still that of its name", async () => {
    const { directory } = upstream();
    const seen = join(root, `ssh-${crypto.randomUUID()}`);
    const ssh = join(root, `ssh-${crypto.randomUUID()}.sh`);
    // Stands for ssh: writes down how it was called and does on this machine what it is to do on the other.
    writeFileSync(ssh, `#!/bin/sh\nprintf '%s\\n' "$@" >> ${seen}\nfor command; do :; done\nexec sh -c "$command"\n`, {
      mode: 0o755,
    });
    const forGit = () =>
      Promise.resolve({ environment: { GIT_SSH_COMMAND: `${ssh} -i key`, GIT_SSH_VARIANT: 'ssh' }, secrets: [] });
    const named = open({ names: lookup(), forGit });
    const clone = (repository_url: string) => named.clone({ repository_url });
    expect((await clone(`ssh://git@git.example:2222${directory}`)).base_commit).toBe(head(directory));
    const options = readFileSync(seen, 'utf8').split('\n');
    expect(options).toEqual(expect.arrayContaining(['-i', 'key', '-oBatchMode=yes', '-oHostName=127.0.0.1']));
    expect(options).toContain('-oHostKeyAlias=[git.example]:2222');
    rmSync(seen);
    await clone(`git@git.example:${directory}`);
    expect(readFileSync(seen, 'utf8').split('\n')).toContain('-oHostKeyAlias=git.example');
  });

  it("is the address that was looked at, by git's own protocol: its daemon hears the name", async () => {
    const { directory } = upstream();
    const daemon = await startGitDaemon(root, [`--interpolated-path=${root}/%H%D`]);
    try {
      symlinkSync(root, join(root, 'git.example'));
      const repository_url = `git://git.example:${daemon.port}/${directory.slice(root.length + 1)}/.git`;
      expect((await open({ names: lookup() }).clone({ repository_url })).base_commit).toBe(head(directory));
    } finally {
      daemon.stop();
    }
  });

  it('is told of what came from there, and never of what tasks have made', async () => {
    const { directory } = upstream();
    const trace = join(root, `trace-${crypto.randomUUID()}`);
    const daemon = await startGitDaemon(root, [`--base-path=${root}`], { GIT_TRACE_PACKET: trace });
    try {
      const repository_url = `git://127.0.0.1:${daemon.port}/${directory.slice(root.length + 1)}/.git`;
      const asker = open();
      await asker.clone({ repository_url });
      const before = head(directory);
      const ours = asker.repositories.locate(repository_url);
      const own = git(ours, ...AUTHOR, 'commit-tree', '-m', 'x', '-p', before, `${before}^{tree}`).trim();
      git(ours, 'update-ref', `refs/kandev/rescue/${crypto.randomUUID()}`, own);
      commit(directory, 'Later');
      await asker.clone({ repository_url });
      const heard = readFileSync(trace, 'utf8');
      expect(heard).toContain(`have ${before}`);
      expect(heard).not.toContain(own);
    } finally {
      daemon.stop();
    }
  });

  it('leads through a proxy of the server, which alone may know the name; never to an address of this network', async () => {
    const { url } = upstream();
    const proxy = createServer((request, response) => {
      const { pathname, search } = new URL(request.url ?? '');
      const onward = forward({
        port: server.port,
        path: pathname + search,
        method: request.method,
        headers: request.headers,
      });
      onward.on('response', (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      });
      request.pipe(onward);
    }).listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const { port } = proxy.address() as AddressInfo;
    const environment = { http_proxy: `http://127.0.0.1:${port}` };
    try {
      const repository_url = `http://nobody-knows.invalid/${new URL(url).pathname.slice(1)}`;
      const inside = open({ ranges: [], environment });
      expect((await inside.clone({ repository_url })).base_branch).toBe('main');
      await expect(inside.clone({ repository_url: url })).rejects.toMatchObject(REFUSED);
      await expect(open().clone({ repository_url })).rejects.toMatchObject({
        ...CLONE_FAILED,
        message: expect.stringMatching(/nobody-knows\.invalid could not be resolved/),
      });
    } finally {
      proxy.closeAllConnections();
      proxy.close();
    }
  });
});

describe('hostile', () => {
  it.each([
    'http://127.0.0.1:PORT/x.git',
    'http://[::1]:PORT/x.git',
    'http://0x7f000001:PORT/x.git',
    'http://2130706433:PORT/x.git',
    'http://127.1:PORT/x.git',
    'http://[::ffff:127.0.0.1]:PORT/x.git',
    'http://localhost:PORT/x.git',
    'http://localhost.:PORT/x.git',
    'http://0.0.0.0:PORT/x.git',
    'http://169.254.169.254/latest/meta-data',
    'http://[fd00:ec2::254]/latest',
    'git://127.0.0.1:PORT/x.git',
    'git://0x7f000001:PORT/x.git',
    'git://127%2e0.0.1:PORT/x.git',
    'ssh://git@127.0.0.1:PORT/x.git',
    'ssh://git@2130706433:PORT/x.git',
    'git@localhost:x.git',
    'git@[::1]:x.git',
    'ssh://git@10.0.0.1/x.git',
  ])('addresses of this machine and its network are refused: %s', async (address) => {
    const repository_url = address.replace('PORT', String(server.port));
    await expect(open({ ranges: [] }).clone({ repository_url })).rejects.toMatchObject(REFUSED);
    expect(server.requests).toEqual([]);
  });

  it.each([
    '--upload-pack=touch PROOF',
    '-uPROOF',
    'ext::sh -c "touch PROOF" %S',
    'fd::17',
    'file://server/share',
    'https://ann:password@example.com/x',
    'ssh://-oProxyCommand=touch%20PROOF/x',
    'ssh://git@-oProxyCommand=touch/x',
    'git@host$(touch PROOF):x',
    'relative',
  ])('address: %s', async (address) => {
    const proof = join(root, `proof-${crypto.randomUUID()}`);
    const repository_url = address.replace('PROOF', proof);
    await expect(world.clone({ repository_url })).rejects.toMatchObject(REFUSED);
    await expect(open({ local: false }).clone({ repository_url: root })).rejects.toMatchObject(REFUSED);
    await expect(open({ local: false }).clone({ repository_url: `file://${root}` })).rejects.toMatchObject(REFUSED);
    expect(existsSync(proof)).toBe(false);
  });

  it.each(['--upload-pack=touch x', '-b', 'a:b', '+main', 'a..b', 'main^{tree}', '@{-1}', '*'])(
    'branch: %s',
    async (branch) => {
      const { url } = upstream(1);
      const refused = world.clone({ repository_url: url, branch });
      // What could be a branch is only not there.
      await expect(refused).rejects.toMatchObject(branch === '+main' ? CLONE_FAILED : REFUSED);
    },
  );

  it.each([301, 302, 307])('redirects are not followed, wherever they lead: %i', async (status) => {
    const { url } = upstream();
    const second = await GitServer.start(root);
    try {
      server.redirect = { status, location: `http://127.0.0.1:${second.port}` };
      await expect(world.clone({ repository_url: url })).rejects.toMatchObject({
        ...CLONE_FAILED,
        message: expect.stringMatching(/redirects are not followed/),
      });
      expect(second.requests).toEqual([]);
    } finally {
      await second.close();
    }
  });

  it('repositories of this machine run nothing here, whoever owns them', async () => {
    const { directory } = upstream();
    const proof = join(root, `proof-${crypto.randomUUID()}`);
    const script = join(root, `script-${crypto.randomUUID()}`);
    writeFileSync(script, `#!/bin/sh\ntouch ${proof}\ncat\n`, { mode: 0o755 });
    const hooks = join(directory, '.git/hooks');
    mkdirSync(hooks, { recursive: true });
    for (const hook of [
      'post-checkout',
      'reference-transaction',
      'pre-upload-pack',
      'post-index-change',
      'fsmonitor-watchman',
    ])
      writeFileSync(join(hooks, hook), `#!/bin/sh\ntouch ${proof}\n`, { mode: 0o755 });
    writeFileSync(join(directory, '.gitattributes'), '* filter=evil diff=evil merge=evil\n*.bin filter=lfs\n');
    writeFileSync(join(directory, '.gitmodules'), `[submodule "x"]\n\tpath = x\n\turl = ${root}\n\tupdate = none\n`);
    writeFileSync(join(directory, 'pointer.bin'), 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n');
    symlinkSync('/etc/passwd', join(directory, 'link'));
    git(directory, 'add', '-A');
    git(directory, 'update-index', '--add', '--cacheinfo', `160000,${head(directory)},x`);
    git(directory, ...AUTHOR, 'commit', '-qm', 'Evil');
    rmSync(proof, { force: true }); // what ran there until now was the test's own doing
    for (const [key, value] of [
      ['uploadpack.packObjectsHook', script],
      ['core.fsmonitor', script],
      ['core.sshCommand', script],
      ['core.alternateRefsCommand', script],
      ['core.gitProxy', script],
      ['filter.evil.smudge', script],
      ['filter.evil.process', script],
      ['filter.lfs.smudge', script],
      ['diff.external', script],
      ['remote.origin.url', `ext::${script}`],
      ['remote.origin.promisor', 'true'],
      ['protocol.ext.allow', 'always'],
      ['core.hooksPath', hooks],
    ] as const)
      git(directory, 'config', key, value);
    execFileSync('chown', ['-R', '12345:12345', directory]);
    chownSync(root, 0, 0);
    for (const repository_url of [directory, `file://${directory}`, join(directory, '.git')]) {
      const { directory: workspace } = await world.clone({ repository_url });
      expect(readFileSync(join(workspace, 'pointer.bin'), 'utf8')).toMatch(/git-lfs/);
      expect(readdirSync(join(workspace, 'x'))).toEqual([]); // an empty place for the submodule
      expect(lstatSync(join(workspace, 'link')).isSymbolicLink()).toBe(true);
      expect(existsSync(join(workspace, '.git/modules'))).toBe(false);
    }
    expect(existsSync(proof)).toBe(false);
  });

  it('objects with names that would be dangerous in a checkout are refused when they come in', async () => {
    const { directory, url } = upstream();
    const tree = execFileSync('git', ['-C', directory, 'mktree'], {
      input: `040000 tree ${head(directory, 'HEAD^{tree}')}\t.git\n`,
      encoding: 'utf8',
    }).trim();
    const evil = git(directory, ...AUTHOR, 'commit-tree', '-m', 'x', tree).trim();
    git(directory, 'update-ref', 'refs/heads/evil', evil);
    await expect(world.clone({ repository_url: url, branch: 'evil' })).rejects.toMatchObject(CLONE_FAILED);
  });

  it('old flaws that harm nobody are not refused', async () => {
    const { directory, url } = upstream();
    const raw = `tree ${head(directory, 'HEAD^{tree}')}\nauthor T <t@example.com> 1 +051800\ncommitter T <t@example.com> 1 +051800\n\nx\n`;
    const old = execFileSync('git', ['-C', directory, 'hash-object', '-t', 'commit', '--literally', '-w', '--stdin'], {
      input: raw,
      encoding: 'utf8',
    }).trim();
    git(directory, 'update-ref', 'refs/heads/old', old);
    expect((await world.clone({ repository_url: url, branch: 'old' })).base_commit).toBe(old);
  });
});
