import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildDemoImage, type DemoImage } from '../../scripts/build-demo-image.mjs';
import { describeWithEngine, HARDENED, run } from './engine.js';

/** A uid that no image knows, unless the engine could not let it read this user's files. */
const UID = process.getuid?.() || 4711;
/** How the server starts an agent: output to files, input from a named pipe that never ends. */
const REDIRECTED = 'cd /workspace && exec "$@" <>/run/kandev/in >>/run/kandev/out 2>>/run/kandev/err';

const REPOSITORY = {
  'package.json': '{"name":"cart","type":"module","scripts":{"test":"node --test"}}\n',
  'src/cart.js': `import { percentOff } from './price.js';

/** From ten pieces of an article on, a tenth less. */
export function total(lines) {
  return lines.reduce((sum, { price, quantity }) => sum + percentOff(price * quantity, quantity >= 10 ? 10 : 0), 0);
}
`,
  'src/price.js': `export function percentOff(price, percent) {
  return price * (1 + percent / 100);
}
`,
  'test/cart.test.js': `import assert from 'node:assert/strict';
import { test } from 'node:test';
import { total } from '../src/cart.js';

test('adds up', () => assert.equal(total([{ price: 2, quantity: 3 }, { price: 1, quantity: 1 }]), 7));
test('gives a discount from ten pieces on', () => assert.equal(total([{ price: 3, quantity: 10 }]), 27));
`,
};

describeWithEngine("the demo agent's image", { timeout: 120_000 }, () => {
  let image: DemoImage;
  let root: string;

  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), 'kandev-image-test-'));
    image = await buildDemoImage({ log: (line) => console.log(line) });
  }, 120_000);

  afterAll(() => rmSync(root, { recursive: true, force: true }));

  function makeRepository(): string {
    const workspace = mkdtempSync(join(root, 'workspace-'));
    chmodSync(workspace, 0o755);
    for (const [path, text] of Object.entries(REPOSITORY)) {
      mkdirSync(dirname(join(workspace, path)), { recursive: true });
      writeFileSync(join(workspace, path), text);
    }
    const git = (...args: string[]) =>
      execFileSync('git', ['-C', workspace, '-c', 'user.name=t', '-c', 'user.email=t@t.invalid', ...args]);
    git('init', '-q');
    git('add', '.');
    git('commit', '-qm', 'Add the cart');
    return workspace;
  }

  it('is built once', async () => {
    expect(await buildDemoImage()).toMatchObject({ id: image.id, built: false });
    expect(image.size).toBeLessThan(160e6);
  });

  it('has sh, git and Node that work for any user without any right', async () => {
    const script = `set -e
      test "$(id -u)" = 4711
      ! echo x 2>/dev/null > /forbidden
      git init -q /tmp/a && cd /tmp/a && echo x > f && git add f && git commit -qm first
      git clone -q /tmp/a /tmp/b && cat /tmp/b/f
      git -C /workspace log --format=%s
      node -p 'process.version.split(".")[0] + " " + require("os").homedir()'`;
    const mount = { Type: 'bind' as const, Source: makeRepository(), Target: '/workspace', ReadOnly: true };
    const { code, output } = await run({
      Image: image.id,
      Cmd: ['sh', '-c', script],
      User: '4711:4711',
      HostConfig: { ...HARDENED, Mounts: [mount] },
    });
    expect(output).toBe('x\nAdd the cart\nv24 /tmp\n');
    expect(code).toBe(0);
  });

  it('repairs a repository whose test fails', async () => {
    const workspace = makeRepository();
    const runDirectory = join(root, 'run');
    mkdirSync(join(runDirectory, 'artifacts'), { recursive: true });
    execFileSync('mkfifo', [join(runDirectory, 'in')]);
    writeFileSync(join(runDirectory, 'task.json'), JSON.stringify({ title: 'Make the discount a discount' }));
    if (process.getuid?.() === 0) execFileSync('chown', ['-R', `${UID}:${UID}`, workspace, runDirectory]);
    const mounts = [
      { Type: 'bind' as const, Source: workspace, Target: '/workspace' },
      { Type: 'bind' as const, Source: runDirectory, Target: '/run/kandev' },
    ];
    const { code, output } = await run({
      Image: image.id,
      Entrypoint: ['sh', '-c', REDIRECTED, 'sh'],
      Cmd: ['node', '/opt/kandev/demo-agent/demo-agent.mjs'],
      Env: ['KANDEV_TASK_ID=the-task', 'KANDEV_AGENT_ID=the-agent'],
      User: `${UID}:${UID}`,
      HostConfig: { ...HARDENED, Mounts: mounts },
    });
    expect({ code, output, stderr: readFileSync(join(runDirectory, 'err'), 'utf8') }).toEqual({
      code: 0,
      output: '',
      stderr: '',
    });
    const messages = readFileSync(join(runDirectory, 'out'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(messages.every(({ task_id, agent_id }) => task_id === 'the-task' && agent_id === 'the-agent')).toBe(true);
    expect(messages.at(-1)).toMatchObject({
      type: 'result',
      data: { status: 'completed', artifacts: [{ type: 'report', path: '/run/kandev/artifacts/repair-report.md' }] },
    });
    expect(readFileSync(join(workspace, 'src/price.js'), 'utf8')).toContain('price * (1 - percent / 100)');
    const report = readFileSync(join(runDirectory, 'artifacts', 'repair-report.md'), 'utf8');
    expect(report).toContain('# Make the discount a discount');
    expect(report).toContain('+  return price * (1 - percent / 100);');
    execFileSync(process.execPath, ['--test'], { cwd: workspace, env: {} });
  });
});
