import type { ContainerCreateOptions, HealthConfig, HostConfig, MountSettings } from 'dockerode';
import type { LaunchSpec } from '../../domain/container-runtime.js';
import { engineLimits } from '../../domain/resource-limits.js';
import { heldBackHealthCheck } from './container-health.js';
import {
  GATEWAY_TARGET,
  HOME_TARGET,
  LAUNCHER_TARGET,
  RUN_TARGET,
  TMP_TARGET,
  WORKSPACE_TARGET,
} from './container-targets.js';
import type { EnginePlatform } from './engine-platform.js';
import { imageVolumes } from './image-volumes.js';

/** Labels by which a home finds its containers and networks again. */
export const LABEL_HOME = 'kandev.home';
export const LABEL_HOME_PATH = 'kandev.home_path';
export const LABEL_AGENT = 'kandev.agent_id';

const MAX_PROCESSES = 512; // a build tool with a worker a core fits many times; a fork bomb stops early
const MAX_OPEN_FILES = 8_192; // an engine can't give more than it has itself, and few have less

/** What an image says of itself. */
export interface ImageDetails {
  /** Entrypoint and command. */
  command: string[];
  /** Paths of the volumes it declares. */
  volumes: string[];
  health_check: HealthConfig | undefined;
  shell: string[] | undefined;
}

/** What a container is made of, besides what was asked for. */
export interface ContainerParts {
  image: ImageDetails;
  engine: EnginePlatform;
  home: { id: string; path: string };
  /** Path of the launcher, on the engine's host. */
  launcher: string;
  /** Name of the network that `open` means. */
  open_network: string;
}

export function containerName(agentId: string): string {
  return `kandev-${agentId}`;
}

/**
 * The engine's request for an agent's container: no capability, no new privileges, the engine's seccomp profile, a
 * user of its own, a read-only root, limits on memory (and no swap), processes and files, no network but where it was
 * asked for, mounts made by this function alone. The launcher goes first.
 */
export function containerOptions(spec: LaunchSpec, command: string[], parts: ContainerParts): ContainerCreateOptions {
  const { image, engine, home } = parts;
  return {
    name: containerName(spec.agent_id),
    Image: spec.image_id ?? spec.image_name,
    Entrypoint: [LAUNCHER_TARGET, 'launch'],
    Cmd: command,
    User: `${spec.user.uid}:${spec.user.gid}`,
    WorkingDir: WORKSPACE_TARGET,
    Env: Object.entries({ HOME: HOME_TARGET, ...spec.environment }).map(([name, value]) => `${name}=${value}`),
    Labels: {
      [LABEL_HOME]: home.id,
      [LABEL_HOME_PATH]: home.path,
      [LABEL_AGENT]: spec.agent_id,
      'kandev.run_id': spec.run_id,
      'kandev.task_id': spec.task_id,
    },
    StopSignal: 'SIGTERM',
    OpenStdin: false,
    Tty: false,
    Healthcheck: heldBackHealthCheck(image.health_check, image.shell),
    HostConfig: {
      Init: true,
      Privileged: false,
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      ReadonlyRootfs: true,
      NetworkMode: spec.network === 'open' ? parts.open_network : 'none',
      IpcMode: 'private',
      ...(engine.has_private_cgroupns ? { CgroupnsMode: 'private' } : {}),
      ...limitsOf(spec),
      Mounts: mountsOf(spec, parts.launcher),
      Tmpfs: imageVolumes(image.volumes, spec.user),
      RestartPolicy: { Name: 'no' },
      AutoRemove: false,
      LogConfig: { Type: 'json-file', Config: { 'max-size': '1m', 'max-file': '1' } },
    },
  };
}

function limitsOf(spec: LaunchSpec): HostConfig {
  const { memory_bytes, nano_cpus } = engineLimits(spec.limits);
  const files = spec.max_file_bytes;
  return {
    PidsLimit: MAX_PROCESSES,
    Ulimits: [
      { Name: 'nofile', Soft: MAX_OPEN_FILES, Hard: MAX_OPEN_FILES },
      { Name: 'core', Soft: 0, Hard: 0 },
      ...(files === null ? [] : [{ Name: 'fsize', Soft: files, Hard: files }]),
    ],
    ...(memory_bytes ? { Memory: memory_bytes, MemorySwap: memory_bytes } : {}),
    ...(nano_cpus ? { NanoCpus: nano_cpus } : {}),
  };
}

/** `Mounts`, not `Binds`: a source that is missing is an error, and not made by the engine as root. */
function mountsOf(spec: LaunchSpec, launcher: string): MountSettings[] {
  const bind = (source: string, target: string, isReadOnly: boolean): MountSettings => {
    return { Type: 'bind', Source: source, Target: target, ReadOnly: isReadOnly };
  };
  return [
    bind(spec.workspace_directory, WORKSPACE_TARGET, false),
    bind(spec.home_directory, HOME_TARGET, false),
    bind(spec.tmp_directory, TMP_TARGET, false),
    bind(spec.run_directory, RUN_TARGET, false),
    bind(launcher, LAUNCHER_TARGET, true),
    ...(spec.gateway_directory === null ? [] : [bind(spec.gateway_directory, GATEWAY_TARGET, true)]),
    ...spec.credentials.map(({ source, target }) => bind(source, target, true)),
  ];
}
