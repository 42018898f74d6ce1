import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { AgentBench, COMPLETED, node, type AgentRecipe, type Ended } from '../support/agents.js';
import { attackTools, tool } from '../support/attack-tools.js';
import { query } from '../support/database.js';
import { makeRepository } from '../support/repository.js';
import type { TestUser } from '../support/test-user.js';
import { until } from '../support/until.js';
import { describeWithEngine } from './engine.js';

const MOUNTS = ['ssh_keys', 'gitconfig', 'git_credentials', 'ssh_agent'];
const sha256 = (content: string | Buffer): string => createHash('sha256').update(content).digest('hex');

/** A folder with credentials of somebody; returns the hashes of its files. */
function fill(folder: string, name: string): Record<string, string> {
  mkdirSync(join(folder, '.ssh'), { recursive: true, mode: 0o700 });
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', join(folder, '.ssh/id_ed25519')]);
  const files: Record<string, string> = {
    '.ssh/known_hosts': `${name}.example.com ssh-ed25519 AAAA\n`,
    '.ssh/config': 'Host *\n',
    '.ssh/authorized_keys': 'ssh-ed25519 AAAA\n',
    '.gitconfig': `[user]\n\tname = ${name}\n`,
    '.git-credentials': `https://${name}:${sha256(name)}@example.com\n`,
  };
  for (const [path, content] of Object.entries(files)) writeFileSync(join(folder, path), content, { mode: 0o600 });
  return Object.fromEntries(
    [...Object.keys(files), '.ssh/id_ed25519'].map((path) => [path, sha256(readFileSync(join(folder, path)))]),
  );
}

/** Says in one log message what `look` returns; nothing of it is a secret, so that it arrives. */
const report = (look: string): string[] =>
  node(`
    const fs = require('node:fs'), { execSync, execFileSync } = require('node:child_process');
    const hash = (bytes) => require('node:crypto').createHash('sha256').update(bytes).digest('hex');
    const run = (line, input) => { try { return execSync(line, { input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'] }).trim(); } catch (error) { return 'failed: ' + error.stderr; } };
    const attempt = (work) => { try { work(); return 'done'; } catch (error) { return error.code; } };
    const home = process.env.HOME;
    console.log(JSON.stringify({ type: 'log', data: { level: 'info', report: (() => { ${look} })() } }));
  `);

describeWithEngine('the credentials of an agent', () => {
  let bench: AgentBench;
  let repository_url: string;

  beforeAll(async () => {
    bench = await AgentBench.open({ OPENAI_API_KEY: 'server-key-for-agents' });
    repository_url = makeRepository(bench.server.directory, attackTools(['ssh-keygen', 'ssh-add']));
  });

  afterEach(() => bench.expectQuiet());

  afterAll(() => bench.close());

  const own = (userId: string): string => {
    const folder = join(bench.server.home, 'credentials', userId);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return folder;
  };

  async function reported(
    look: string,
    recipe: AgentRecipe = {},
  ): Promise<{ ended: Ended; report: Record<string, unknown> }> {
    const ended = await bench.run({ command: report(look), mounts: MOUNTS, ...recipe });
    expect(ended).toMatchObject(COMPLETED);
    const said = (await bench.said(ended.task_id)).find(({ data }) => 'report' in data);
    return { ended, report: said?.data['report'] as Record<string, unknown> };
  }

  const audited = (agentId: string) =>
    query<{ user_id: string | null; data: { kind: string; names: string[]; from: string; requested_by: string } }>(
      bench.server.database.url,
      `select user_id, data from audit_events where action = 'credential.granted' and subject_id = $1 order by id`,
      [agentId],
    );

  it('are the server’s own while there is one user, and are told of where they are missing', async () => {
    const hashes = fill(bench.server.directory, 'server');
    const { ended, report: found } = await reported(`
      return {
        names: fs.readdirSync(home + '/.ssh'),
        hashes: Object.fromEntries(['.ssh/id_ed25519', '.ssh/known_hosts', '.gitconfig', '.git-credentials'].map((path) => [path, hash(fs.readFileSync(home + '/' + path))])),
      };`);
    expect(found['names']).toEqual(['id_ed25519', 'id_ed25519.pub', 'known_hosts']);
    expect(hashes).toMatchObject(found['hashes'] as object);
    const told = (await bench.stream(ended.task_id)).filter(({ data }) => 'mounts_not_granted' in data);
    expect(told.map(({ data }) => data['mounts_not_granted'])).toEqual([['ssh_agent'], ['ssh_agent']]);
    const names = ['.ssh/id_ed25519', '.ssh/id_ed25519.pub', '.ssh/known_hosts'];
    expect(await audited(ended.instance.id)).toMatchObject([
      { user_id: null, data: { kind: 'ssh_keys', names, from: 'server', requested_by: bench.admin.userId } },
      { data: { kind: 'gitconfig', names: ['.gitconfig'] } },
      { data: { kind: 'git_credentials', names: ['.git-credentials'] } },
    ]);
  });

  it('work with OpenSSH and git, can’t be changed, and leave the host’s files as they are', async () => {
    const folder = own(bench.admin.userId);
    fill(folder, 'anna');
    const files = ['.ssh/id_ed25519', '.ssh/known_hosts', '.gitconfig', '.git-credentials'];
    const before = files.map((path) => statSync(join(folder, path)));
    const { report: found } = await reported(
      `
      const filled = run('git credential fill', 'protocol=https\\nhost=example.com\\n\\n');
      return {
        uid: process.getuid(),
        publicKey: run(${JSON.stringify(tool('ssh-keygen', '-y', '-f', '/home/agent/.ssh/id_ed25519'))}),
        name: run('git config user.name'),
        password: hash(/^password=(.*)$/m.exec(filled)?.[1] ?? ''),
        writes: [
          attempt(() => fs.writeFileSync(home + '/.ssh/id_ed25519', 'x')), attempt(() => fs.writeFileSync(home + '/.ssh/new', 'x')),
          attempt(() => fs.unlinkSync(home + '/.ssh/known_hosts')), attempt(() => fs.chmodSync(home + '/.ssh/id_ed25519', 0o777)),
          attempt(() => fs.appendFileSync(home + '/.gitconfig', 'x')), attempt(() => fs.unlinkSync(home + '/.git-credentials')),
          attempt(() => fs.renameSync(home + '/.ssh', home + '/.other')), attempt(() => fs.writeFileSync('/etc/passwd', 'x')),
        ],
        home: attempt(() => fs.writeFileSync(home + '/mine', 'x')),
      };`,
      { repository_url },
    );
    const [type, key] = readFileSync(join(folder, '.ssh/id_ed25519.pub'), 'utf8').split(' ');
    expect(found['publicKey']).toContain(`${type} ${key}`);
    expect(found).toMatchObject({ name: 'anna', password: sha256(sha256('anna')), home: 'done' });
    expect(found['writes']).not.toContain('done');
    expect(found['uid']).not.toBe(0);
    const seen = (stats: typeof before) =>
      stats.map(({ mode, uid, gid, mtimeMs, ino }) => ({ mode, uid, gid, mtimeMs, ino }));
    expect(seen(files.map((path) => statSync(join(folder, path))))).toEqual(seen(before));
  });

  it('leave nothing behind that a later run stumbles over', async () => {
    const task = await bench.task({
      mounts: ['ssh_keys', 'gitconfig'],
      command: report('return fs.readdirSync(home + "/.ssh").length'),
    });
    await bench.start(task);
    expect(await bench.ended(task)).toMatchObject(COMPLETED);
    const type = (await bench.admin.get<{ agent_type: string }>(`/tasks/${task}`)).body.agent_type;
    const look = `
      const kinds = fs.readdirSync(home).toSorted();
      run('git config --global user.name Somebody');
      fs.writeFileSync(home + '/.ssh/mine', 'x');
      return { kinds, keys: fs.readdirSync(home + '/.ssh'), name: run('git config user.name'), owner: fs.statSync(home + '/.ssh').uid === process.getuid() };`;
    const types = (await bench.admin.get<{ agent_types: { id: string; name: string }[] }>('/agent-types?limit=200'))
      .body.agent_types;
    const id = types.find(({ name }) => name === type)?.id ?? '';
    expect((await bench.admin.send('PUT', `/agent-types/${id}`, { mounts: [], command: report(look) })).status).toBe(
      200,
    );
    await bench.admin.send('PATCH', `/tasks/${task}/state`, { state: 'TODO' });
    await bench.start(task);
    expect(await bench.ended(task)).toMatchObject(COMPLETED);
    const said = (await bench.said(task)).filter(({ data }) => 'report' in data);
    expect(said.at(-1)?.data['report']).toEqual({
      kinds: ['.gitconfig', '.ssh'],
      keys: ['mine'],
      name: 'Somebody',
      owner: true,
    });
  });

  it('are gone when the attempt is over', () => {
    expect(readdirSync(join(bench.server.home, 'granted'))).toEqual([]);
  });

  describe('with an SSH agent', () => {
    let agent: ChildProcess;

    beforeAll(async () => {
      const socket = join(own(bench.admin.userId), 'ssh-agent.sock');
      agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
      await until('the SSH agent to listen', () => existsSync(socket));
      const key = join(bench.server.directory, 'agent-key');
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'in the agent', '-f', key]);
      execFileSync('ssh-add', ['-q', key], { env: { ...process.env, SSH_AUTH_SOCK: socket }, stdio: 'ignore' });
    });

    afterAll(() => void agent.kill());

    it('let it see and use the keys there, and change nothing', async () => {
      const add = tool('ssh-add');
      const look = `
        run(${JSON.stringify(tool('ssh-keygen', '-q', '-t', 'ed25519', '-N', '""', '-f', '/tmp/new'))});
        fs.writeFileSync('/tmp/key.pub', run('${add} -L') + '\\n');
        return { list: run('${add} -l'), signs: run('${add} -T /tmp/key.pub'), added: run('${add} /tmp/new'), removed: run('${add} -D'), after: run('${add} -l'), socket: process.env.SSH_AUTH_SOCK };`;
      const { report: found, ended } = await reported(look, {
        mounts: ['ssh_agent'],
        repository_url,
      });
      expect(found['list']).toContain('in the agent');
      expect(found['signs']).not.toContain('failed');
      expect([found['added'], found['removed']]).toEqual([
        expect.stringContaining('failed'),
        expect.stringContaining('failed'),
      ]);
      expect(found['after']).toBe(found['list']);
      expect(await audited(ended.instance.id)).toMatchObject([{ data: { kind: 'ssh_agent', from: 'user' } }]);
    });

    it('go on after the server was killed', async () => {
      const look = `
        while (!fs.existsSync('/run/kandev/go')) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
        return run('${tool('ssh-add')} -l');`;
      const task = await bench.task({ command: report(look), mounts: ['ssh_agent'], repository_url });
      await bench.start(task);
      const { id } = await bench.running(task);
      await bench.server.kill();
      await bench.server.start();
      const env = { ...process.env, SSH_AUTH_SOCK: join(bench.server.home, 'granted', id, 'agent/agent.sock') };
      await until('the new server to open the way again', () => spawnSync('ssh-add', ['-l'], { env }).status === 0);
      writeFileSync(join(bench.runDirectory(id), 'go'), '');
      expect(await bench.ended(task)).toMatchObject(COMPLETED);
      const said = (await bench.said(task)).find(({ data }) => 'report' in data);
      expect(said?.data['report']).toContain('in the agent');
    });
  });

  it('are each user’s own, and the server’s are nobody’s any more when there are two', async () => {
    const bert = await bench.server.newUser();
    fill(own(bert.userId), 'bert');
    const carl = await bench.server.newUser();
    const look = `return { name: run('git config user.name'), keys: fs.existsSync(home + '/.ssh') ? fs.readdirSync(home + '/.ssh') : [] }`;
    const admin = bench.admin as TestUser;
    const type = await admin.createAgentType({
      name: 'looks-around',
      command: report(look),
      mounts: ['ssh_keys', 'gitconfig'],
    });
    const said: Record<string, unknown> = {};
    for (const [name, user] of Object.entries({ anna: admin, bert, carl })) {
      const { id } = await user.startTask(type);
      expect(await user.untilRun(id)).toMatchObject({ run_state: 'COMPLETED' });
      const [row] = await query<{ report: unknown }>(
        bench.server.database.url,
        `select data -> 'report' as report from acp_messages where task_id = $1 and data -> 'report' is not null`,
        [id],
      );
      said[name] = row?.report;
    }
    const keys = ['id_ed25519', 'id_ed25519.pub', 'known_hosts'];
    expect(said).toEqual({
      anna: { name: 'anna', keys },
      bert: { name: 'bert', keys },
      carl: { name: expect.not.stringMatching(/anna|bert|server/) as string, keys: [] },
    });
  });

  describe('that it shows in every way it can', () => {
    const secrets: Record<string, string> = {
      OPENAI_API_KEY: 'server-key-for-agents',
      GITHUB_TOKEN: `ghp_${randomBytes(20).toString('hex')}`,
      GITLAB_TOKEN: `gl"${randomBytes(12).toString('base64')}/\\ä`,
    };
    let ended: Ended;
    let places: Record<string, string>;

    beforeAll(async () => {
      const folder = own(bench.admin.userId);
      // One whose public half, which the file holds too, nobody has shown.
      for (const name of ['id_ed25519', 'id_ed25519.pub']) rmSync(join(folder, '.ssh', name));
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, '.ssh/id_ed25519')]);
      const lines = ['GITHUB_TOKEN', 'GITLAB_TOKEN'].map((name) => `${name}=${secrets[name]}\n`);
      writeFileSync(join(folder, 'env'), lines.join(''), { mode: 0o600 });
      secrets['password'] = sha256('anna');
      secrets['key'] = readFileSync(join(folder, '.ssh/id_ed25519'), 'utf8').split('\n').slice(1, -2).join('\n');
      ended = await bench.run({
        command: node(CANARY),
        mounts: ['ssh_keys', 'git_credentials'],
        environment_vars: { A: '${OPENAI_API_KEY}', B: 'Bearer ${GITHUB_TOKEN}', C: '${GITLAB_TOKEN}' },
      });
      places = await everywhere(bench, ended);
    });

    it('are in no row, answer, socket, log or file', () => {
      expect(ended.message).toContain('[redacted]');
      expect(ended.message).toContain('posted 202 202');
      const found: string[] = [];
      for (const [place, text] of Object.entries(places)) {
        for (const [name, secret] of Object.entries(secrets)) {
          for (const [how, form] of Object.entries(formsOf(secret)))
            if (text.includes(form)) found.push(`${name} ${how}: ${place}`);
        }
      }
      expect(found).toEqual([]);
    });

    it('and the rest of what it said is all there', async () => {
      const said = await bench.said(ended.task_id);
      const text = JSON.stringify(said);
      expect(text.match(/marked \d+ /g)?.length).toBe(Number(/of (\d+)/.exec(ended.message ?? '')?.[1]));
      expect(
        said.filter(({ data }) => (data['metadata'] as { redacted?: boolean } | undefined)?.redacted).length,
      ).toBeGreaterThan(20);
      expect(places['artifacts']).toContain('an artifact');
    });
  });
});

/** An agent that means ill, or knows no better: says its secrets in all ways, and then fails with them. */
const CANARY = `
  const fs = require('node:fs');
  const { setTimeout: sleep } = require('node:timers/promises');
  const env = process.env, home = env.HOME;
  const key = fs.readFileSync(home + '/.ssh/id_ed25519', 'utf8');
  const password = /:([^:@]+)@/.exec(fs.readFileSync(home + '/.git-credentials', 'utf8'))[1];
  const secrets = [env.A, env.B.slice('Bearer '.length), env.C, password, key];
  let count = 0;
  const mark = () => 'marked ' + ++count + ' ';
  const say = (text) => console.log(mark() + text);
  const encodings = [
    String, JSON.stringify, (text) => JSON.stringify(JSON.stringify({ text })), encodeURIComponent,
    (text) => encodeURIComponent(text).replace(/%../g, (code) => code.toLowerCase()), (text) => Buffer.from(text).toString('hex'),
    (text) => Buffer.from(text).toString('hex').toUpperCase(), (text) => Buffer.from(text).toString('base64'),
    (text) => Buffer.from('x' + text).toString('base64'), (text) => Buffer.from('xy' + text).toString('base64url'),
  ];
  (async () => {
    const messages = [];
    for (const secret of secrets) {
      for (const encode of encodings) {
        const text = encode(secret);
        for (const line of text.split('\\n')) say('says ' + line + ' .');
        const data = { level: 'info', message: mark() + text, list: [text, { [text]: text }] };
        console.log(JSON.stringify({ type: 'log', data }));
        messages.push(JSON.stringify({ type: 'log', data: { ...data, message: mark() + text } }));
        console.error(mark() + text.replaceAll('\\n', ' '));
      }
      const escaped = Array.from(secret, (char) => '\\\\u' + char.charCodeAt(0).toString(16).padStart(4, '0')).join('');
      console.log('{"type":"log","data":{"message":"' + mark() + escaped + '"}}');
      if (secret.includes('\\n')) continue;
      const half = Math.floor(secret.length / 2);
      process.stdout.write(mark() + secret.slice(0, half));
      await sleep(300);
      process.stdout.write(secret.slice(half) + '\\n');
      say('torn ' + secret.slice(0, half));
      await sleep(300);
      console.log(secret.slice(half));
      const long = mark() + 'x'.repeat(1024 * 1024 - 20 - half) + secret + 'y'.repeat(1024 * 1024) + secret;
      console.log(long);
    }
    fs.writeFileSync('/run/kandev/artifacts/report.txt', 'an artifact: ' + secrets.join(' ') + secrets.map((text) => Buffer.from(text).toString('base64')).join(' '));
    fs.writeFileSync('/run/kandev/artifacts/' + env.A, 'an artifact with a name');
    const post = (body, type) => fetch(env.KANDEV_API_URL + '/agents/' + env.KANDEV_AGENT_ID + '/messages', {
      method: 'POST', body, headers: { 'content-type': type, authorization: 'Bearer ' + fs.readFileSync('/run/kandev/api-key', 'utf8') },
    }).then(({ status }) => status, (error) => error.cause?.message ?? error.message);
    const posted = [await post(messages.join('\\n'), 'application/x-ndjson'), await post(messages[0].replace(/marked/g, 'again'), 'application/json')];
    console.log(JSON.stringify({ type: 'error', data: { message: secrets.join(' ') } }));
    const summary = 'failed of ' + count + ', posted ' + posted.join(' ') + ', with ' + secrets.slice(0, 4).join(' and ');
    console.log(JSON.stringify({ type: 'result', data: { status: 'failed', summary, artifacts: [{ type: env.A, path: '/run/kandev/artifacts/report.txt' }] } }));
  })();
`;

/** What must not be found; of the plain secret any twelve characters in a row. */
function formsOf(secret: string): Record<string, string> {
  const forms: Record<string, string> = {
    'in JSON': JSON.stringify(secret).slice(1, -1),
    'in a URL': encodeURIComponent(secret),
    'in hex': Buffer.from(secret).toString('hex').slice(0, 40),
    'in base64': Buffer.from(secret).toString('base64').slice(0, 20),
    'in base64, one further': Buffer.from(`x${secret}`).toString('base64').slice(4, 24),
    'in base64, two further': Buffer.from(`xy${secret}`).toString('base64').slice(4, 24),
  };
  for (let at = 0; at + 12 <= secret.length; at++) {
    const piece = secret.slice(at, at + 12);
    if (!piece.includes('\n')) forms[`from ${at} on`] = piece;
  }
  return forms;
}

/** Everything that is kept or shown, as text: every table, what sockets and the API say, the log, the files. */
async function everywhere(bench: AgentBench, ended: Ended): Promise<Record<string, string>> {
  const { server, admin, board_id } = bench;
  const places: Record<string, string> = { log: server.log, socket: JSON.stringify(await bench.stream(ended.task_id)) };
  const tables = await query<{ name: string }>(
    server.database.url,
    `select quote_ident(table_name) as name from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'`,
    [],
  );
  for (const { name } of tables) {
    const rows = await query<{ row: string }>(server.database.url, `select t::text as row from ${name} t`, []);
    places[`table ${name}`] = rows.map(({ row }) => row).join('\n');
  }
  const { task_id, instance } = ended;
  const paths = [
    ...[
      `/agents/${instance.id}`,
      `/tasks/${task_id}`,
      `/boards/${board_id}/tasks`,
      `/agents`,
      '/audit-events?limit=200',
    ],
    ...['status', 'logs?limit=1000', 'artifacts'].map((part) => `/orchestrator/tasks/${task_id}/${part}`),
  ];
  for (const path of paths) places[path] = JSON.stringify((await admin.get(path)).body);
  const files = readdirSync(join(server.home, 'artifacts'), { recursive: true, withFileTypes: true });
  const kept = files.filter((file) => file.isFile()).map((file) => join(file.parentPath, file.name));
  places['artifacts'] = kept.map((path) => path + readFileSync(path, 'utf8')).join('\n');
  expect(readdirSync(join(server.home, 'granted'))).toEqual([]);
  return places;
}
