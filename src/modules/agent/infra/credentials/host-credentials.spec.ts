import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { QueryBus } from '@nestjs/cqrs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AuditEntry, AuditLog } from '../../../../common/audit/audit-log.js';
import { AgentKeys } from '../../../../common/auth/agent-keys.js';
import type { Config } from '../../../../common/config/config.js';
import { withoutSecrets } from '../../../../common/ops/log-secrets.js';
import type { AgentInstance } from '../../domain/agent-instance.entity.js';
import { CredentialSources } from './credential-source.js';
import { HostCredentials } from './host-credentials.js';

const AGENT = '0198c0de-0000-7000-8000-000000000001';
const ANNA = '0198c0de-0000-7000-8000-00000000000a';
const BERT = '0198c0de-0000-7000-8000-00000000000b';
// oxlint-disable-next-line node/no-process-env -- the real git and ssh are wanted, wherever they are
const { PATH } = process.env;
const OWN = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const ROOT = process.getuid?.() === 0;
const OTHER = ROOT ? { uid: 10_001, gid: 10_001 } : OWN;

let directory: string;
let users: string[];
let audited: AuditEntry[];
let variables: Record<string, string>;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kandev-credentials-'));
  for (const name of ['server', 'agent-home', 'home/credentials'])
    mkdirSync(join(directory, name), { recursive: true });
  users = [ANNA];
  audited = [];
  variables = {
    HOME: join(directory, 'server'),
    GITHUB_TOKEN: 'server-token-github',
    OPENAI_API_KEY: 'server-key-openai',
  };
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** As a server that has just been started has them. */
function credentials(host: 'single-user' | 'never' = 'single-user'): HostCredentials {
  const config = {
    ...{ home: join(directory, 'home'), jwt_secret: 'x'.repeat(32), credentials: { host } },
    agent: { env_allowlist: ['OPENAI_API_KEY', 'GITHUB_TOKEN', 'GITLAB_TOKEN'] },
    host_environment: variables,
  } as unknown as Config;
  const sole = users.length === 1 ? users[0] : null;
  const queries = { execute: () => Promise.resolve(sole) } as unknown as QueryBus;
  const audit = { record: (entry: AuditEntry) => Promise.resolve(void audited.push(entry)) } as unknown as AuditLog;
  return new HostCredentials(config, new CredentialSources(config, queries), new AgentKeys(config), audit);
}

const instance = (fields: Partial<AgentInstance> = {}): AgentInstance =>
  ({
    id: AGENT,
    runtime: 'docker',
    requested_by: ANNA,
    mounts: [],
    environment_vars: null,
    ...fields,
  }) as AgentInstance;

/** A folder with everything that there may be, and more. */
function fill(folder: string, word: string): void {
  mkdirSync(join(folder, '.ssh'), { recursive: true });
  const file = (name: string, content: string, mode = 0o600): void =>
    writeFileSync(join(folder, name), content, { mode });
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', word, '-f', join(folder, '.ssh/id_ed25519')]);
  file('.ssh/known_hosts', `${word}.example.com ssh-ed25519 AAAA\n`);
  file('.ssh/config', 'Host *\n  ProxyCommand touch /tmp/owned\n');
  file('.ssh/authorized_keys', 'ssh-ed25519 AAAA\n');
  file('.ssh/id_notes', `no key, but ${word}\n`);
  file('.ssh/work', 'another key\n');
  file(
    '.gitconfig',
    `[user]\n\tname = ${word}\n[http]\n\textraheader = Authorization: Basic ${word}basicheader\n`,
    0o644,
  );
  file(
    '.git-credentials',
    `https://${word}:${word}%2Fpassword@example.com\nhttps://${word}-token-in-name:x-oauth-basic@github.com\n`,
  );
}

function own(user: string, word: string): string {
  const folder = join(directory, 'home/credentials', user);
  mkdirSync(folder, { mode: 0o700 });
  fill(folder, word);
  return folder;
}

const ALL = ['ssh_keys', 'gitconfig', 'git_credentials', 'ssh_agent'] as const;
const grant = (of: HostCredentials, fields: Partial<AgentInstance> = {}) =>
  of.grant(instance({ mounts: [...ALL], ...fields }), OTHER, join(directory, 'agent-home'));

describe('an attempt', () => {
  it('gets copies of what is named and of nothing else, for its user alone; the files stay as they were', async () => {
    const folder = own(ANNA, 'anna');
    const seen = () =>
      readdirSync(join(folder, '.ssh')).map((name) => {
        const { mode, uid, gid, mtimeMs, ctimeMs } = statSync(join(folder, '.ssh', name));
        return { name, mode, uid, gid, mtimeMs, ctimeMs };
      });
    const before = seen();
    const granted = await grant(credentials());
    expect(granted.files.map(({ target }) => target).toSorted()).toEqual(
      ['/etc/passwd', '/home/agent/.git-credentials', '/home/agent/.gitconfig', '/home/agent/.ssh'].toSorted(),
    );
    const copies = join(directory, 'home/granted', AGENT);
    expect(readdirSync(join(copies, '.ssh')).toSorted()).toEqual(['id_ed25519', 'id_ed25519.pub', 'known_hosts']);
    expect(statSync(copies).mode & 0o777).toBe(0o700);
    for (const name of ['.ssh/id_ed25519', '.ssh/known_hosts', '.gitconfig', '.git-credentials']) {
      expect(statSync(join(copies, name))).toMatchObject(OTHER);
      expect(statSync(join(copies, name)).mode & 0o777).toBe(0o400);
      expect(readFileSync(join(copies, name)).equals(readFileSync(join(folder, name)))).toBe(true);
    }
    expect(statSync(join(copies, 'grant.json'))).toMatchObject(OWN);
    expect(statSync(join(copies, 'grant.json')).mode & 0o777).toBe(0o600);
    expect(seen()).toEqual(before);
    expect(granted.missing).toEqual(['ssh_agent']);
    expect(granted.granted).toEqual([
      { kind: 'ssh_keys', names: ['.ssh/id_ed25519', '.ssh/id_ed25519.pub', '.ssh/known_hosts'], from: 'user' },
      { kind: 'gitconfig', names: ['.gitconfig'], from: 'user' },
      { kind: 'git_credentials', names: ['.git-credentials'], from: 'user' },
    ]);
    expect(granted.secrets).toEqual(
      expect.arrayContaining(['anna%2Fpassword', 'anna/password', 'anna-token-in-name', 'annabasicheader']),
    );
  });

  it('gets nothing that its agent type does not ask for', async () => {
    own(ANNA, 'anna');
    const granted = await grant(credentials(), { mounts: ['gitconfig'] });
    expect(granted.files.map(({ target }) => target)).toEqual(['/home/agent/.gitconfig']);
    expect(readdirSync(join(directory, 'home/granted', AGENT)).toSorted()).toEqual(['.gitconfig', 'grant.json']);
  });

  it('gets the same again, whatever has changed meanwhile; and a half-made grant is made anew', async () => {
    const folder = own(ANNA, 'anna');
    const copies = join(directory, 'home/granted', AGENT);
    mkdirSync(join(copies, '.ssh'), { recursive: true });
    writeFileSync(join(copies, '.ssh/id_ed25519'), 'half');
    writeFileSync(join(copies, 'grant.json'), '{"granted":{"files":['); // what a power cut leaves
    const first = await grant(credentials(), { environment_vars: { KEY: '${OPENAI_API_KEY}' } });
    rmSync(folder, { recursive: true });
    variables['OPENAI_API_KEY'] = 'changed';
    const after = credentials();
    expect(await grant(after, { environment_vars: { KEY: '${OPENAI_API_KEY}' } })).toEqual(first);
    expect(await after.secretsOf(AGENT)).toEqual(first.secrets);
    expect(await after.secretsOf(AGENT)).toBe(await after.secretsOf(AGENT));
    expect(await after.list()).toEqual([AGENT]);
    await after.revoke(AGENT);
    await after.revoke(AGENT);
    expect([await after.list(), await after.secretsOf(AGENT), existsSync(copies)]).toEqual([[], [], false]);
  });

  it('has all that it may have been given hidden, where a power cut has left nothing of the record', async () => {
    own(ANNA, 'anna');
    await grant(credentials(), { environment_vars: { KEY: '${OPENAI_API_KEY}' } });
    writeFileSync(join(directory, 'home/granted', AGENT, 'grant.json'), '');
    const after = credentials();
    const key = await after.secretsOf(AGENT);
    expect(key).toHaveLength(1); // its own
    await after.reopen(instance());
    await after.reopen(instance());
    const hidden = await after.secretsOf(AGENT);
    expect(hidden).toEqual(expect.arrayContaining([...key, 'anna/password', 'annabasicheader', 'server-key-openai']));
    expect(withoutSecrets(`x ${key[0]} x`)).not.toContain(key[0]);
    await after.revoke(AGENT);
  });

  it.each([
    ['a file that others may read', (ssh: string) => chmodSync(join(ssh, 'id_ed25519'), 0o640)],
    ['a link', (ssh: string) => replace(ssh, (at, secret) => symlinkSync(secret, at))],
    ['a second name of a file', (ssh: string) => replace(ssh, (at, secret) => linkSync(secret, at))],
    ['what is no key', (ssh: string) => replace(ssh, (at) => writeFileSync(at, 'words', { mode: 0o600 }))],
    [
      'a large file',
      (ssh: string) =>
        replace(ssh, (at) => writeFileSync(at, `-----BEGIN PRIVATE KEY-----\n${'x'.repeat(70_000)}`, { mode: 0o600 })),
    ],
    ['a folder', (ssh: string) => replace(ssh, (at) => mkdirSync(at))],
    ['a pipe', (ssh: string) => replace(ssh, (at) => execFileSync('mkfifo', ['-m', '600', at]))],
    [
      'files behind a link',
      (ssh: string) => {
        execFileSync('mv', [ssh, join(directory, 'elsewhere')]);
        symlinkSync(join(directory, 'elsewhere'), ssh);
      },
    ],
  ])('gets no key from %s', async (_, spoil) => {
    spoil(join(own(ANNA, 'anna'), '.ssh'));
    const granted = await grant(credentials(), { mounts: ['ssh_keys'] });
    expect(granted).toMatchObject({ files: [], granted: [], missing: ['ssh_keys'] });
  });

  it('gets `${NAME}` from its user first, then from the server; nothing that is not allowed', async () => {
    writeFileSync(join(own(ANNA, 'anna'), 'env'), '# mine\nexport GITHUB_TOKEN="annas own token"\nPATH=/evil\n', {
      mode: 0o600,
    });
    const environment_vars = { A: 'x ${GITHUB_TOKEN}', B: '${OPENAI_API_KEY}', C: 'plain' };
    const granted = await grant(credentials(), { mounts: [], environment_vars });
    expect(granted.environment).toEqual({ A: 'x annas own token', B: 'server-key-openai', C: 'plain' });
    expect(granted.granted).toEqual([
      { kind: 'environment', names: ['GITHUB_TOKEN'], from: 'user' },
      { kind: 'environment', names: ['OPENAI_API_KEY'], from: 'server' },
    ]);
    expect(granted.secrets).toEqual(expect.arrayContaining(['annas own token', 'server-key-openai']));
    for (const name of ['PATH', 'GITLAB_TOKEN']) {
      const wanted = instance({ id: BERT, environment_vars: { X: `\${${name}}` } });
      await expect(credentials().grant(wanted, OTHER, directory)).rejects.toMatchObject({ code: 'agent.environment' });
    }
  });

  it('hides its secrets from the log of the server, as long as it is looked after', async () => {
    const served = credentials();
    const line = '{"msg":"the engine says: KEY=server-key-openai"}\n';
    await grant(served, { environment_vars: { KEY: '${OPENAI_API_KEY}' } });
    expect(withoutSecrets(line)).toBe('{"msg":"the engine says: KEY=[redacted]"}\n');
    await served.revoke(AGENT);
    expect(withoutSecrets(line)).toBe(line);
  });

  it('finds places for its mounts that an earlier run has spoilt', async () => {
    own(ANNA, 'anna');
    const home = join(directory, 'agent-home');
    symlinkSync(join(directory, 'server'), join(home, '.ssh'));
    mkdirSync(join(home, '.gitconfig'));
    writeFileSync(join(home, '.git-credentials'), 'of an earlier run');
    await grant(credentials());
    expect([statSync(join(home, '.ssh')).isDirectory(), readdirSync(join(directory, 'server'))]).toEqual([true, []]);
    expect(readFileSync(join(home, '.gitconfig'), 'utf8')).toBe('');
    expect(readFileSync(join(home, '.git-credentials'), 'utf8')).toBe('of an earlier run');
    expect(statSync(join(home, '.ssh'))).toMatchObject(OTHER);
  });
});

describe('the server’s own home', () => {
  const asked = (fields: Partial<AgentInstance>, host?: 'never') =>
    grant(credentials(host), { mounts: ['gitconfig'], ...fields }).then(({ granted }) => granted[0]?.from ?? 'nobody');

  it('is for the one user there is, and for the system', async () => {
    fill(join(directory, 'server'), 'server');
    expect(await asked({})).toBe('server');
    expect(await asked({ id: BERT, requested_by: null })).toBe('server');
  });

  it.each([
    ['somebody else', { requested_by: BERT }, [ANNA]],
    ['two users', {}, [ANNA, BERT]],
    ['the system of two users', { requested_by: null }, [ANNA, BERT]],
    ['nobody', { requested_by: null }, []],
  ])('is not for %s', async (_, fields, known) => {
    fill(join(directory, 'server'), 'server');
    users = known;
    expect(await asked(fields)).toBe('nobody');
  });

  it('is for nobody where it is switched off, nor for a user with a folder of their own', async () => {
    fill(join(directory, 'server'), 'server');
    expect(await asked({}, 'never')).toBe('nobody');
    const folder = join(directory, 'home/credentials', ANNA);
    mkdirSync(folder, { mode: 0o700 });
    expect(await asked({ id: BERT })).toBe('nobody');
    chmodSync(folder, 0o777);
    expect(await asked({ id: '0198c0de-0000-7000-8000-000000000003' })).toBe('nobody');
    rmSync(folder, { recursive: true });
    symlinkSync(join(directory, 'server'), folder);
    expect(await asked({ id: '0198c0de-0000-7000-8000-000000000004' })).toBe('nobody');
  });
});

describe('git on the host', () => {
  /** What git would send to a host, by its own word. */
  function filled(environment: Record<string, string>, host: string): string {
    const env = { PATH, GIT_TERMINAL_PROMPT: '0', GIT_CONFIG_NOSYSTEM: '1', ...environment };
    return spawnSync('git', ['credential', 'fill'], {
      env,
      input: `protocol=https\nhost=${host}\n\n`,
      encoding: 'utf8',
    }).stdout;
  }

  it('sends a user’s own passwords and tokens to their hosts alone', async () => {
    const folder = own(ANNA, 'anna');
    fill(join(directory, 'server'), 'server');
    writeFileSync(join(folder, 'env'), 'GITLAB_TOKEN=annas-gitlab\n', { mode: 0o600 });
    const { environment, secrets } = await credentials().forGit(ANNA);
    expect(filled(environment, 'example.com')).toContain('username=anna\npassword=anna/password');
    expect(filled(environment, 'gitlab.com')).toContain('username=oauth2\npassword=annas-gitlab');
    expect(filled(environment, 'github.com')).toContain('username=anna-token-in-name');
    expect(filled(environment, 'elsewhere.example.com')).toBe('');
    expect(secrets).toEqual(expect.arrayContaining(['anna/password', 'annas-gitlab']));
    const inTheOpen = Object.entries(environment).filter(([name]) => !name.startsWith('KANDEV_'));
    expect(JSON.stringify(inTheOpen)).not.toMatch(/annas-gitlab|anna.password/);
    expect(audited).toEqual([]);
  });

  it('has nothing of the server for one of several users, and all of it for the only one', async () => {
    fill(join(directory, 'server'), 'server');
    const task_id = BERT;
    const alone = await credentials().forGit(ANNA, { task_id, action: 'clone' });
    expect(filled(alone.environment, 'example.com')).toContain('password=server/password');
    expect(audited).toMatchObject([
      {
        action: 'credential.used',
        actor: { user_id: ANNA },
        subject: { type: 'task', id: task_id },
        data: { git: 'clone', from: 'server' },
      },
    ]);
    expect(JSON.stringify(audited)).not.toMatch(/server.password|server-token-github/);
    users = [ANNA, BERT];
    const { environment } = await credentials().forGit(ANNA, { task_id, action: 'clone' });
    expect(['example.com', 'github.com'].map((host) => filled(environment, host))).toEqual(['', '']);
    expect(environment['GIT_SSH_COMMAND']).not.toContain(join(directory, 'server'));
    expect(audited).toHaveLength(1);
  });

  it('asks ssh for these keys and these hosts alone', async () => {
    const folder = own(ANNA, 'anna');
    const settings = async (): Promise<string> => {
      const { environment } = await credentials().forGit(ANNA);
      const command = `${environment['GIT_SSH_COMMAND']} -T -G host.example.com`;
      return execFileSync('sh', ['-c', command], { encoding: 'utf8' });
    };
    expect(await settings()).toMatch(/^stricthostkeychecking true$/m);
    expect(await settings()).toMatch(new RegExp(`^identityfile ${folder}/.ssh/id_ed25519$`, 'm'));
    expect(await settings()).toMatch(new RegExp(`^userknownhostsfile "?${folder}/.ssh/known_hosts"?$`, 'm'));
    expect(await settings()).toMatch(/^identityagent none$/m);
    expect((await settings()).match(/^identityfile/gm)).toHaveLength(1);
    rmSync(join(folder, '.ssh'), { recursive: true });
    expect(await settings()).toMatch(/^stricthostkeychecking accept-new$/m);
    expect(await settings()).toMatch(/^identityfile \/dev\/null$/m);
    expect(await settings()).not.toContain(folder);
  });
});

describe('what is known to be secret', () => {
  it('is everything that somebody has now, and what the server lends', async () => {
    const folder = own(ANNA, 'anna');
    writeFileSync(join(folder, 'env'), 'OWN_TOKEN=anna-own-token\nDEBUG=1\n', { mode: 0o600 });
    own(BERT, 'bert');
    fill(join(directory, 'server'), 'server');
    users = [ANNA, BERT];
    const known = await credentials().knownSecrets([ANNA, null, ANNA]);
    const key = readFileSync(join(folder, '.ssh/id_ed25519'), 'latin1');
    expect(known.toSorted()).toEqual(
      [
        ...[key, 'anna/password', 'anna%2Fpassword', 'anna-token-in-name', 'annabasicheader', 'anna-own-token'],
        ...['server-token-github', 'server-key-openai'],
      ].toSorted(),
    );
    users = [ANNA];
    rmSync(folder, { recursive: true });
    expect(await credentials().knownSecrets([ANNA])).toContain('server/password');
    expect(audited).toEqual([]);
  });
});

/** Puts something else in the place of the key; there is a secret elsewhere. */
function replace(ssh: string, by: (at: string, secret: string) => void): void {
  const [at, secret] = [join(ssh, 'id_ed25519'), join(directory, 'secret')];
  execFileSync('mv', [at, secret]);
  by(at, secret);
}
