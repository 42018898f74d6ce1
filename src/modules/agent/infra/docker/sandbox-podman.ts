import type { ContainerInspectInfo, HostConfig } from 'dockerode';

/** What Podman gives as shared memory where nothing is asked for; Docker gives 64 MiB. */
const PODMAN_SHM_BYTES = 65_536_000;
const DOCKER_SHM_BYTES = 67_108_864;
/** Podman puts file systems in memory there when the root is read-only; they count as the agent's memory. */
const OWN_TMPFS = new Set(['/run', '/tmp', '/var/tmp', '/dev/shm']);

/**
 * What Podman shows of a container, in Docker's words: the same things have other names there, and some it does not
 * show at all. Those are left to the look from inside.
 */
export function inDockerWords(seen: ContainerInspectInfo): ContainerInspectInfo {
  const { HostConfig: host, Path: path, Args: args } = seen;
  const translated: HostConfig & { CgroupnsMode?: string } = {
    ...host,
    // `shareable`: another container may join where that is asked for, and nobody does.
    IpcMode: host.IpcMode === 'shareable' ? 'private' : host.IpcMode,
    PidMode: ownOrOther(host.PidMode),
    UTSMode: ownOrOther(host.UTSMode),
    UsernsMode: ownOrOther(host.UsernsMode),
    CgroupnsMode: (host as { CgroupnsMode?: string }).CgroupnsMode || 'private',
    Runtime: host.Runtime === 'oci' ? '' : host.Runtime,
    ShmSize: host.ShmSize === PODMAN_SHM_BYTES ? DOCKER_SHM_BYTES : host.ShmSize,
    Ulimits: host.Ulimits?.map((one) => ({ ...one, Name: one.Name?.toLowerCase().replace(/^rlimit_/, '') })),
    Tmpfs: Object.fromEntries(Object.entries(host.Tmpfs ?? {}).filter(([target]) => !OWN_TMPFS.has(target))),
    MaskedPaths: undefined,
    ReadonlyPaths: undefined,
  };
  const behindInit = path.endsWith('/podman-init') && args[0] === '--' ? args[1] : undefined;
  return { ...seen, Path: behindInit ?? path, HostConfig: translated };
}

function ownOrOther(mode: string | undefined): string | undefined {
  return mode === 'private' ? '' : mode;
}
