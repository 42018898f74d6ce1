import type { ContainerCreateOptions } from 'dockerode';
import type { LaunchSpec } from '../../domain/container-runtime.js';
import { engineLimits } from '../../domain/resource-limits.js';

/** Labels by which a home finds its containers again. */
export const LABEL_HOME = 'kandev.home';
export const LABEL_AGENT = 'kandev.agent_id';

const MAX_PROCESSES = 512; // a build tool with a worker a core fits many times; a fork bomb stops early
const MAX_OPEN_FILES = 8_192; // an engine can't give more than it has itself, and few have less
const TMP_SIZE = '512m';

/**
 * Runs the agent with its output in files: bytes never wait for a reader and survive the death of the engine and of
 * ours. The latch makes a second start of the same container end at once instead of running the agent again.
 */
const WRAPPER = [
  'umask 022',
  '(set -C; : > /run/kandev/started) 2>/dev/null || exit 75',
  'exec "$@" <>/run/kandev/in >>/run/kandev/out 2>>/run/kandev/err',
].join('\n');

export function containerName(agentId: string): string {
  return `kandev-${agentId}`;
}

/**
 * The engine's request for an agent's container: no capability, no new privileges, the engine's seccomp profile, a
 * user of its own, a read-only root with sized tmpfs, limits on memory (and no swap), processes and files, no
 * network, mounts made by this function alone.
 */
export function containerOptions(
  spec: LaunchSpec,
  command: string[],
  home: { id: string; path: string },
): ContainerCreateOptions {
  const { uid, gid } = spec.user;
  const limits = engineLimits(spec.limits);
  const tmpfs = (size: string, mode: string) => `rw,nosuid,nodev,size=${size},mode=${mode},uid=${uid},gid=${gid}`;
  return {
    name: containerName(spec.agent_id),
    Image: spec.image_id ?? spec.image_name,
    Entrypoint: ['/bin/sh', '-c', WRAPPER, 'kandev-agent'],
    Cmd: command,
    User: `${uid}:${gid}`,
    WorkingDir: '/workspace',
    Env: Object.entries({ HOME: '/home/agent', ...spec.environment }).map(([name, value]) => `${name}=${value}`),
    Labels: {
      [LABEL_HOME]: home.id,
      'kandev.home_path': home.path,
      [LABEL_AGENT]: spec.agent_id,
      'kandev.run_id': spec.run_id,
      'kandev.task_id': spec.task_id,
    },
    StopSignal: 'SIGTERM',
    OpenStdin: false,
    Tty: false,
    HostConfig: {
      Init: true,
      Privileged: false,
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      ReadonlyRootfs: true,
      NetworkMode: 'none',
      IpcMode: 'private',
      PidsLimit: MAX_PROCESSES,
      Ulimits: [
        { Name: 'nofile', Soft: MAX_OPEN_FILES, Hard: MAX_OPEN_FILES },
        { Name: 'core', Soft: 0, Hard: 0 },
      ],
      ...(limits.memory_bytes ? { Memory: limits.memory_bytes, MemorySwap: limits.memory_bytes } : {}),
      ...(limits.nano_cpus ? { NanoCpus: limits.nano_cpus } : {}),
      Tmpfs: { '/tmp': tmpfs(TMP_SIZE, '1777'), '/home/agent': tmpfs(TMP_SIZE, '0700') },
      Mounts: [
        { Type: 'bind', Source: spec.workspace_directory, Target: '/workspace', ReadOnly: false },
        { Type: 'bind', Source: spec.run_directory, Target: '/run/kandev', ReadOnly: false },
      ],
      RestartPolicy: { Name: 'no' },
      AutoRemove: false,
      LogConfig: { Type: 'json-file', Config: { 'max-size': '1m', 'max-file': '1' } },
    },
  };
}
