import { createHash } from 'node:crypto';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { AgentBench, COMPLETED, node, type ArtifactBody, type Ended } from '../support/agents.js';
import { attackTools } from '../support/attack-tools.js';
import { makeRepository } from '../support/repository.js';
import { until } from '../support/until.js';
import { describeWithEngine } from './engine.js';

const SECRET = 'known-to-the-host-alone';
const FOLDER = '/run/kandev/artifacts';

/** Files of an agent that means well, by name, but for what the names contain. */
const WELL_MEANT: Record<string, string> = {
  'report.md': '# Report\n',
  empty: '',
  'name with spaces.txt': 'spaces',
  'ünïcödé 😀.md': 'unicode',
  'carriage\r\nSet-Cookie: evil=1\r\n.txt': 'newlines',
  'quo"te;.txt': 'quotes',
  "back\\slash%0d%0a'.txt": 'percent',
  '.hidden': 'hidden',
  'page.html': '<script>alert(1)</script>',
  'image.svg': '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
  ['x'.repeat(255)]: 'long',
  'sub/folder/file.txt': 'nested',
};

describeWithEngine('the artifacts of an agent', () => {
  let bench: AgentBench;
  let hostFile: string;
  let repository_url: string;

  beforeAll(async () => {
    bench = await AgentBench.open();
    hostFile = join(bench.server.directory, 'host-file');
    writeFileSync(hostFile, SECRET);
    repository_url = makeRepository(bench.server.directory, attackTools(['mkfifo']));
  });

  afterEach(() => bench.expectQuiet());

  afterAll(() => bench.close());

  /** Runs a Node program that has `fs`, `run` (of a command line), `FOLDER` and `result` (names paths) at hand. */
  async function make(program: string): Promise<{ ended: Ended; artifacts: ArtifactBody[] }> {
    const prelude = `
      const fs = require('node:fs'), FOLDER = '${FOLDER}', HOST_FILE = ${JSON.stringify(hostFile)};
      const run = (line) => require('node:child_process').execSync(line, { env: { ...process.env, LD_LIBRARY_PATH: '/workspace/tools' } });
      const result = (...artifacts) => console.log(JSON.stringify({ type: 'result', data: { status: 'completed', artifacts } }));
    `;
    const ended = await bench.run({ command: node(prelude + program), repository_url });
    expect(ended).toMatchObject(COMPLETED);
    return { ended, artifacts: await bench.artifacts(ended.task_id) };
  }

  async function download({ download_url }: ArtifactBody): Promise<{ text: string; headers: Headers }> {
    const headers = { authorization: `Bearer ${bench.admin.token}` };
    const answer = await fetch(bench.server.url + download_url, { headers });
    expect(answer.status).toBe(200);
    return { text: await answer.text(), headers: answer.headers };
  }

  describe('with all kinds of names', () => {
    let artifacts: ArtifactBody[];

    beforeAll(async () => {
      ({ artifacts } = await make(`
        for (const [name, content] of Object.entries(${JSON.stringify(WELL_MEANT)})) {
          const path = FOLDER + '/' + name;
          fs.mkdirSync(require('node:path').dirname(path), { recursive: true });
          fs.writeFileSync(path, content);
        }
      `));
    });

    it('are all kept', () => {
      const paths = artifacts.map(({ path }) => path);
      expect(paths.toSorted()).toEqual(
        Object.keys(WELL_MEANT)
          .map((name) => `${FOLDER}/${name}`)
          .toSorted(),
      );
    });

    it('come back as they were, to be saved and never shown', async () => {
      for (const artifact of artifacts) {
        const content = WELL_MEANT[artifact.path.slice(FOLDER.length + 1)];
        const { text, headers } = await download(artifact);
        expect(text).toBe(content);
        expect(artifact.size).toBe(Buffer.byteLength(text));
        expect(artifact.sha256).toBe(createHash('sha256').update(text).digest('hex'));
        expect(headers.get('content-type')).toBe('application/octet-stream');
        expect(headers.get('x-content-type-options')).toBe('nosniff');
        expect(headers.get('content-security-policy')).toMatch(/default-src|sandbox/);
        expect(headers.get('set-cookie')).toBeNull();
        const disposition = /^attachment; filename="([\w.-]*)"; filename\*=UTF-8''([\w.%~-]+)$/;
        const [, , extended = ''] = disposition.exec(headers.get('content-disposition') ?? '') ?? [];
        expect(decodeURIComponent(extended)).toBe(artifact.name);
      }
    });
  });

  it('named in a result have its type, and may lie in the workspace', async () => {
    const { artifacts } = await make(`
      fs.mkdirSync('out');
      fs.writeFileSync('out/summary.txt', 'from the workspace');
      fs.writeFileSync(FOLDER + '/plan.md', 'from the folder');
      result({ type: 'summary', path: '/workspace/out/summary.txt' }, { type: 'plan', path: FOLDER + '/plan.md' });
    `);
    expect(artifacts.map(({ type, path, name }) => ({ type, path, name }))).toEqual(
      expect.arrayContaining([
        { type: 'summary', path: '/workspace/out/summary.txt', name: 'summary.txt' },
        { type: 'plan', path: `${FOLDER}/plan.md`, name: 'plan.md' },
      ]),
    );
    expect(artifacts).toHaveLength(2);
    expect((await Promise.all(artifacts.map(download))).map(({ text }) => text).toSorted()).toEqual([
      'from the folder',
      'from the workspace',
    ]);
  });

  it.each([
    {
      what: 'links to files',
      program: `fs.symlinkSync(HOST_FILE, FOLDER + '/a'); fs.symlinkSync('/etc/passwd', FOLDER + '/b');`,
    },
    {
      what: 'links to folders',
      program: `fs.symlinkSync('/etc', FOLDER + '/etc'); fs.symlinkSync('..', FOLDER + '/up');`,
    },
    { what: 'hard links', program: `fs.linkSync('/run/kandev/task.json', FOLDER + '/task.json');` },
    { what: 'pipes', program: `run('/workspace/tools/mkfifo ' + FOLDER + '/pipe');` },
    {
      what: 'sockets',
      program: `require('node:net').createServer().listen(FOLDER + '/socket', () => process.exit());`,
    },
    {
      what: 'a file that is too large',
      program: `fs.writeFileSync(FOLDER + '/huge', ''); fs.truncateSync(FOLDER + '/huge', 2 ** 40);`,
    },
    { what: 'a link in the place of the folder', program: `fs.rmdirSync(FOLDER); fs.symlinkSync('/etc', FOLDER);` },
    { what: 'no folder at all', program: `fs.rmdirSync(FOLDER);` },
    {
      what: 'names of what lies elsewhere',
      program: `
        fs.symlinkSync(HOST_FILE, 'link'); fs.symlinkSync('/etc', 'etc'); fs.linkSync('.git/config', 'hard');
        run('/workspace/tools/mkfifo pipe'); fs.mkdirSync('folder');
        const places = [
          HOST_FILE, '/etc/passwd', '/proc/self/environ', '/dev/zero', 'link', '../../etc/passwd', '', '.', '/', '/workspace',
          '/workspace/', '/workspace/../../../etc/passwd', FOLDER + '/../task.json', FOLDER + '/../../../../etc/passwd',
          '/workspace/link', '/workspace/etc/passwd', '/workspace/hard', '/workspace/pipe', '/workspace/folder',
          '/workspace/tools\\0/mkfifo', '/workspace/none', '//etc/passwd', '/workspace//../etc/passwd', 'x'.repeat(100000),
        ];
        result(...places.map((path) => ({ type: 'report', path })), null, 5, 'text', [], { path: 7 }, { type: {} });
      `,
    },
  ])('are never $what', async ({ program }) => {
    const { artifacts } = await make(program);
    expect(artifacts).toEqual([]);
  });

  it('are at most two hundred', async () => {
    const { artifacts } = await make(`for (let n = 0; n < 300; n++) fs.writeFileSync(FOLDER + '/' + n, '' + n);`);
    expect(artifacts).toHaveLength(50); // a page
    const { body } = await bench.admin.get<{ total: number }>(
      artifacts[0]?.download_url.slice('/api/v1'.length).replace(/artifacts\/.*/, 'artifacts') ?? '',
    );
    expect(body.total).toBe(200);
  });

  it('say in the stream what was not kept, and why', async () => {
    const { ended, artifacts } = await make(`
      fs.symlinkSync('/etc/passwd', FOLDER + '/link');
      fs.linkSync('/run/kandev/task.json', FOLDER + '/hard');
      fs.writeFileSync(FOLDER + '/huge', ''); fs.truncateSync(FOLDER + '/huge', 2 ** 28);
      fs.writeFileSync(FOLDER + '/kept', 'kept');
      result({ path: '/etc/passwd' }, { path: '/workspace/none' });
    `);
    expect(artifacts.map(({ name }) => name)).toEqual(['kept']);
    const told = (await bench.stream(ended.task_id)).filter(({ type, data }) => {
      return type === 'log' && String(data['message']).startsWith('Not kept as artifacts');
    });
    expect(told).toHaveLength(1);
    expect(told[0]?.data).toMatchObject({ level: 'warn', metadata: { source: 'artifacts', left_out: 5 } });
    for (const name of [
      'link (a link)',
      'hard (a file with',
      'huge (larger',
      '/etc/passwd (not in',
      'none (not there)',
    ])
      expect(told[0]?.data['message']).toContain(name);
  });

  it('are kept under an escaped name where theirs is no text', async () => {
    const { artifacts } = await make(`
      const folder = Buffer.from(FOLDER + '/');
      fs.writeFileSync(Buffer.concat([folder, Buffer.from([0x61, 0xff, 0x62])]), 'one');
      fs.writeFileSync(FOLDER + '/a\\\\xffb', 'two');
    `);
    expect(artifacts.map(({ name }) => name)).toEqual(['a\\xffb', 'a\\xffb']);
    expect(new Set(artifacts.map(({ id }) => id)).size).toBe(2);
    const texts = await Promise.all(artifacts.map(async (artifact) => (await download(artifact)).text));
    expect(texts.toSorted()).toEqual(['one', 'two']);
  });

  it('never show a file of this machine that takes the place of one of theirs', async () => {
    const { artifacts } = await make(`
      result({ path: '/workspace/swapped/file' });
      const started = Date.now();
      fs.mkdirSync('real'); fs.writeFileSync('real/file', 'mine'); fs.symlinkSync(HOST_FILE.replace(/[^/]*$/, ''), 'evil');
      fs.writeFileSync('real/host-file', 'mine');
      while (Date.now() - started < 3000) {
        for (const place of ['real', 'evil']) { fs.rmSync('next', { force: true }); fs.symlinkSync(place, 'next'); fs.renameSync('next', 'swapped'); }
        fs.rmSync(FOLDER + '/x', { force: true }); fs.symlinkSync(HOST_FILE, FOLDER + '/x');
        fs.rmSync(FOLDER + '/x', { force: true }); fs.writeFileSync(FOLDER + '/x', 'mine');
        if (Math.random() < 0.01) result({ path: '/workspace/swapped/host-file' });
      }
    `);
    for (const artifact of artifacts) expect((await download(artifact)).text).not.toContain(SECRET);
  });

  it('are there as soon as a result tells of them', async () => {
    const taskId = await bench.task({
      command: node(`
        const fs = require('node:fs');
        fs.writeFileSync('${FOLDER}/early', 'first');
        console.log(JSON.stringify({ type: 'result', data: { status: 'completed' } }));
        const wait = setInterval(() => {
          if (!fs.existsSync('go')) return;
          clearInterval(wait);
          fs.writeFileSync('${FOLDER}/early', 'second');
        }, 50);
      `),
    });
    await bench.start(taskId);
    const early = await until('the artifact', async () => (await bench.artifacts(taskId))[0]);
    expect((await bench.status(taskId)).run_state).toBe('RUNNING');
    expect((await download(early)).text).toBe('first');
    writeFileSync(join(bench.workspace(taskId), 'go'), '');
    expect(await bench.ended(taskId)).toMatchObject(COMPLETED);
    const [late] = await bench.artifacts(taskId);
    expect(late?.id).toBe(early.id);
    expect((await download(early)).text).toBe('second');
    await until(
      'the first version to be gone',
      () => readdirSync(join(bench.server.home, 'artifacts', taskId)).length === 1,
    );
  });

  it('can be had in parts', async () => {
    const { artifacts } = await make(
      `fs.writeFileSync(FOLDER + '/digits', '0123456789'); fs.writeFileSync(FOLDER + '/empty', '');`,
    );
    const named = (name: string) => artifacts.find((artifact) => artifact.name === name)!;
    const [digits, empty] = [named('digits'), named('empty')];
    const part = async (artifact: ArtifactBody, headers: Record<string, string>, method = 'GET') => {
      const answer = await fetch(bench.server.url + artifact.download_url, {
        method,
        headers: { authorization: `Bearer ${bench.admin.token}`, ...headers },
      });
      const header = (name: string) => answer.headers.get(name);
      return { status: answer.status, text: await answer.text(), range: header('content-range'), header };
    };
    const etag = `"${digits.sha256}"`;
    const whole = { status: 200, text: '0123456789', range: null };
    const end = { status: 206, text: '789', range: 'bytes 7-9/10' };
    expect(await part(digits, { range: 'bytes=2-4' })).toMatchObject({
      status: 206,
      text: '234',
      range: 'bytes 2-4/10',
    });
    expect(await part(digits, { range: 'bytes=7-' })).toMatchObject(end);
    expect(await part(digits, { range: 'bytes=-3' })).toMatchObject(end);
    expect(await part(digits, { range: 'bytes=7-', 'if-range': etag })).toMatchObject(end);
    expect(await part(digits, { range: 'bytes=7-', 'if-range': '"other"' })).toMatchObject(whole);
    expect(await part(digits, { range: 'bytes=0-1,3-4' })).toMatchObject(whole);
    const none = await part(digits, { range: 'bytes=10-' });
    expect(none).toMatchObject({ status: 416, range: 'bytes */10' });
    expect(JSON.parse(none.text)).toMatchObject({ code: 'request.range_not_satisfiable' });
    expect(await part(empty, {})).toMatchObject({ status: 200, text: '' });
    expect(await part(empty, { range: 'bytes=0-' })).toMatchObject({ status: 416, range: 'bytes */0' });
    const head = await part(digits, { range: 'bytes=2-4' }, 'HEAD');
    expect(head).toMatchObject({ status: 200, text: '' });
    expect([head.header('content-length'), head.header('etag'), head.header('accept-ranges')]).toEqual([
      '10',
      etag,
      'bytes',
    ]);
    expect(head.header('content-security-policy')).toContain('sandbox');
  });
});

describeWithEngine('the artifacts of an agent, with little room for them', () => {
  it('are kept as far as there is room', async () => {
    const bench = await AgentBench.open({ KANDEV_MAX_ARTIFACT_BYTES: '1000', KANDEV_MAX_ARTIFACTS_BYTES: '2500' });
    try {
      const { task_id } = await bench.run({
        command: node(`
          for (const [name, size] of [['a', 1000], ['b', 1001], ['c', 1000], ['d', 600], ['e', 500]])
            require('node:fs').writeFileSync('${FOLDER}/' + name, 'x'.repeat(size));
        `),
      });
      expect((await bench.artifacts(task_id)).map(({ name }) => name)).toEqual(['a', 'c', 'e']);
      const told = (await bench.stream(task_id)).map(({ data }) => String(data['message']));
      expect(told.filter((line) => line.startsWith('Not kept'))).toEqual([
        `Not kept as artifacts: ${FOLDER}/b (larger than one file may be), ${FOLDER}/d (more than all files together may be).`,
      ]);
    } finally {
      await bench.close();
    }
  });
});
