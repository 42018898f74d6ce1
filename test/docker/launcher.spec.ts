import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LaunchSpec } from '../../src/modules/agent/domain/container-runtime.js';
import { decideOutcome } from '../../src/modules/agent/domain/outcome.js';
import { sh } from '../support/agents.js';
import { ContainerBox } from '../support/container-box.js';
import { docker } from '../support/containers.js';
import { importImage } from '../support/images.js';
import { until } from '../support/until.js';
import { describeWithEngine } from './engine.js';

const BINARIES = join(import.meta.dirname, '../../launcher/bin');
/** An image with nothing in it but one static program. The launcher itself is such a program. */
const BARE = 'kandev-test/one-program';

describeWithEngine('the launcher', () => {
  let box: ContainerBox;

  beforeAll(async () => {
    box = new ContainerBox();
    const { Arch: arch } = await docker.version();
    await importImage(BARE, { program: readFileSync(join(BINARIES, `kandev-launcher-linux-${arch}`)) });
  });

  afterAll(async () => {
    await box.close();
    await docker.getImage(BARE).remove({ force: true });
  });

  async function why(spec: LaunchSpec): Promise<{ code: string | null; message: string | null }> {
    const exit = await box.exit(spec);
    const { failure_code: code, message } = decideOutcome({
      ...{ exit, result_status: null, result_summary: null, stop_requested: false, killed_for: null },
      ...{
        memory_limit: undefined,
        needs_result: false,
        never_began: !(await box.runDirectories.hasBegun(spec.agent_id)),
      },
    });
    return { code, message };
  }

  const trace = (spec: LaunchSpec): string => {
    const file = join(spec.workspace_directory, 'trace');
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  };

  describe('at the gate', () => {
    it('holds the first instruction of the agent back, and tells what it sees', async () => {
      const spec = await box.spec(sh('echo ran >> trace; echo hello; read -r never'));
      const id = await box.toGate(spec);
      const { Processes: processes } = (await docker.getContainer(id).top({ ps_args: '-eo pid,args' })) as {
        Processes: string[][];
      };
      expect(processes.map(([, args]) => args?.split(' ')[0])).toEqual(['/sbin/docker-init', '/run/kandev-launcher']);
      const probe = JSON.parse(readFileSync(join(spec.run_directory, 'probe.json'), 'utf8')) as object;
      expect(probe).toMatchObject({ uid: spec.user.uid, gid: spec.user.gid, no_new_privileges: true, seccomp: 2 });
      expect(probe).toMatchObject({ interfaces: ['lo'], routes: [], pids_max: 512, can_unshare_user: false });
      expect(probe).toMatchObject({ root_writable: false, proc_sys_writable: false, pids: [1, expect.any(Number)] });
      expect(JSON.stringify(probe)).not.toContain(box.home);
      expect([trace(spec), box.output(spec)]).toEqual(['', '']);
      expect(await box.runDirectories.hasBegun(spec.agent_id)).toBe(false);

      await box.runtime.begin(spec.agent_id);
      await until('the agent to speak', () => box.output(spec) === 'hello\n');
      await box.runtime.begin(spec.agent_id); // by a server that did not know
      expect(trace(spec)).toBe('ran\n');
      await box.runtime.stop(spec.agent_id, 5);
      expect(await box.exit(spec)).toMatchObject({ exit_code: 143 });
    });

    it('has found the container as it has to be', async () => {
      const spec = await box.spec(sh('echo never'), { limits: { memory_limit: '64m', cpu_limit: '1.5' } });
      await box.toGate(spec);
      expect(await box.runtime.verify(spec)).toMatchObject({ differences: [], probe: { uid: spec.user.uid } });
    });

    it('ends with SIGTERM, and runs nothing', async () => {
      const spec = await box.spec(sh('echo ran >> trace'));
      await box.toGate(spec);
      const asked = performance.now();
      await box.runtime.stop(spec.agent_id, 60);
      expect(performance.now() - asked).toBeLessThan(10_000);
      expect(await box.exit(spec)).toMatchObject({ exit_code: 143, oom_killed: false });
      expect(await why(spec)).toMatchObject({ code: 'container.start_failed', message: /before the agent's command/ });
      await box.runtime.begin(spec.agent_id); // too late: nothing
      expect(trace(spec)).toBe('');
    });

    it('a second start runs nothing', async () => {
      const spec = await box.spec(sh('echo ran >> trace'));
      const id = await box.toGate(spec);
      await docker.getContainer(id).kill();
      await box.exit(spec);
      await docker.getContainer(id).start();
      expect(await box.exit(spec)).toMatchObject({ exit_code: 75 });
      expect(await why(spec)).toMatchObject({ code: 'container.start_failed', message: /second time/ });
      expect(trace(spec)).toBe('');
    });
  });

  it('runs the agent once, whatever it leaves behind for a second start', async () => {
    const trap = 'cd /run/kandev && rm gate probe.json begun && echo xxx > gate && echo {} > exec-error.json';
    const spec = await box.launch(sh(`echo ran >> /workspace/trace; ${trap}`));
    expect(await box.exit(spec)).toMatchObject({ exit_code: 0 });
    await docker.getContainer(`kandev-${spec.agent_id}`).start();
    expect(await box.exit(spec)).toMatchObject({ exit_code: 75 });
    expect(trace(spec)).toBe('ran\n');
  });

  it('looks around and ends by itself, where nothing else is wanted', async () => {
    const spec = await box.spec(sh('echo never'));
    const name = `kandev-test-look-${spec.agent_id}`;
    const HostConfig = { AutoRemove: true, NetworkMode: 'none', Binds: [`${spec.run_directory}:/run/kandev`] };
    const container = await docker.createContainer({ name, Image: BARE, Cmd: ['/program', 'look'], HostConfig });
    await container.start();
    await until('it to be gone', async () =>
      container.inspect().then(
        () => false,
        (error: { statusCode?: number }) => error.statusCode === 404,
      ),
    );
    expect(JSON.parse(readFileSync(join(spec.run_directory, 'probe.json'), 'utf8'))).toMatchObject({ uid: 0 });
  });

  describe('in an image without a shell', () => {
    it('runs its only program', async () => {
      const spec = await box.launch(['/program'], { image_name: BARE });
      expect(await box.exit(spec)).toEqual({ exit_code: 64, oom_killed: false });
      expect(readFileSync(join(spec.run_directory, 'err'), 'utf8')).toMatch(/usage/);
    });

    it('says that there is no command', async () => {
      const spec = await box.spec(null, { image_name: BARE });
      await expect(box.runtime.create(spec)).rejects.toMatchObject({
        code: 'container.start_failed',
        message: expect.stringContaining('names no command') as string,
      });
    });
  });

  describe('says why a command does not run', () => {
    const WRITE: Record<string, string> = { plain: 'text', orphan: '#!/no/such/interpreter\n', nothing: '' };

    it.each<[what: string, command: string[], code: string, says: RegExp]>([
      ['not there', ['no-such-program', '-x'], 'agent.command_not_found', /"no-such-program" .*not in the image/],
      ['not there, by its path', ['/no/such'], 'agent.command_not_found', /"\/no\/such" .*not in the image/],
      ['below a file', ['/etc/passwd/x'], 'agent.command_not_found', /not in the image/],
      ['not executable', ['/etc/passwd'], 'agent.command_not_found', /can not be executed.*may not/],
      ['a directory', ['/workspace'], 'agent.command_not_found', /directory/],
      ['no program', ['./plain'], 'agent.command_not_found', /#!\/bin\/sh/],
      ['without its interpreter', ['./orphan'], 'agent.command_not_found', /interpreter/],
      ['empty', [''], 'agent.command_not_found', /empty/],
    ])('%s', async (_, command, code, says) => {
      const spec = await box.spec(command);
      for (const [name, text] of Object.entries(WRITE))
        writeFileSync(join(spec.workspace_directory, name), text, { mode: 0o755 });
      await box.toGate(spec);
      await box.runtime.begin(spec.agent_id);
      const { exit_code } = await box.exit(spec);
      expect([126, 127]).toContain(exit_code);
      expect(await why(spec)).toMatchObject({ code, message: says });
    });

    it('of a shell in the image, its own words stay', async () => {
      const spec = await box.launch(sh('no-such-program'));
      expect(await box.exit(spec)).toEqual({ exit_code: 127, oom_killed: false });
    });
  });

  it('is the same from the source, where its version of Go is here', () => {
    const script = join(import.meta.dirname, '../../scripts/build-launcher.mjs');
    expect(execFileSync(process.execPath, [script, '--check'], { encoding: 'utf8' })).toMatch(
      /those of the source|no Go/,
    );
  });
});
