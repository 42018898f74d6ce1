import type { ContainerCreateOptions, ContainerInspectInfo, HostConfig } from 'dockerode';
import { describe, expect, it } from 'vitest';
import type { LaunchSpec } from '../../domain/container-runtime.js';
import type { EngineCapabilities } from '../../domain/sandbox-engine.js';
import type { SandboxPolicy } from '../../domain/sandbox.js';
import { containerOptions } from './container-options.js';
import { namesOfMounts, type SeenMount } from './sandbox-mounts.js';
import { inspectedPolicy, requestedPolicy } from './sandbox-reader.js';

const HOME = '/srv/kandev';
const LAUNCHER = `${HOME}/launcher/0123456789abcdef/kandev-launcher`;
const ENGINE: EngineCapabilities = {
  ...{ seccomp: true, apparmor: true, memory_limit: true, swap_limit: true, pids_limit: true, cpu_limit: true },
  ...{ product: 'docker', private_cgroupns: true, default_runtime: 'runc', default_cgroupns: 'host' },
};
const SPEC: LaunchSpec = {
  ...{ agent_id: 'a', run_id: 'r', task_id: 't', image_name: 'image:1', image_id: 'sha256:1', command: ['agent'] },
  ...{ environment: {}, limits: { cpu_limit: '1.5', memory_limit: '256m' }, max_file_bytes: 1024 },
  ...{ workspace_directory: `${HOME}/t/workspace`, home_directory: `${HOME}/t/home`, tmp_directory: `${HOME}/t/tmp` },
  ...{ run_directory: `${HOME}/runs/a`, network: 'isolated', gateway_directory: `${HOME}/gateways/a` },
  credentials: [{ source: `${HOME}/granted/a/id`, target: '/home/agent/.ssh/id_ed25519' }],
  user: { uid: 10001, gid: 10001 },
};
const OPTIONS = containerOptions(SPEC, ['agent'], {
  image: { command: [], volumes: ['/data'], health_check: undefined, shell: undefined },
  engine: { architecture: 'amd64', has_private_cgroupns: true },
  ...{ home: { id: 'h', path: HOME }, launcher: LAUNCHER, open_network: 'kandev-open-h' },
});
const NAMES = namesOfMounts(SPEC, HOME);

/** What hardening means, said a second time: whoever changes the options has to change it here as well. */
const HARDENED: SandboxPolicy = {
  ...{ image: 'sha256:1', entrypoint: 'launcher', user: '10001:10001', groups: [], privileged: false },
  ...{ cap_add: [], cap_drop: ['ALL'], no_new_privileges: true, seccomp: 'default', apparmor: 'default' },
  ...{ masked_paths: true, read_only_root: true, network_mode: 'none', ipc_mode: 'private', pid_mode: '' },
  ...{ userns_mode: '', uts_mode: '', cgroupns_mode: 'private', memory_bytes: 2 ** 28, memory_swap_bytes: 2 ** 28 },
  ...{ nano_cpus: 1.5e9, pids: 512, ulimits: ['core 0 0', 'fsize 1024 1024', 'nofile 8192 8192'] },
  mounts: [
    ...['credentials /home/agent/.ssh/id_ed25519 ro', 'gateway /run/kandev-gateway ro', 'home /home/agent rw'],
    ...['launcher /run/kandev-launcher ro', 'run directory /run/kandev rw', 'tmp /tmp rw', 'tmpfs /data rw'],
    'workspace /workspace rw',
  ],
  ...{ shm_bytes: 67_108_864, devices: [], init: true, extras: [] },
};

const DEFAULTS = ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID', 'SETPCAP', 'SETFCAP'];
const MORE = ['Sysctls', 'OomKillDisable', 'Runtime'];

/** As an engine shows what it was asked for, with what it adds by itself. */
function shown(options: ContainerCreateOptions, change: Record<string, unknown> = {}): ContainerInspectInfo {
  const host = { ...options.HostConfig, ShmSize: 67_108_864, Runtime: 'runc', Devices: [], CapAdd: null, ...change };
  const mounts = (host.Mounts ?? []).map((mount): SeenMount => {
    const { Type, Source, Target: Destination, ReadOnly } = mount;
    return { Type, Source, Destination, RW: !ReadOnly, Propagation: 'rprivate' };
  });
  const seen: object = {
    ...{ Image: options.Image, Path: options.Entrypoint?.[0], AppArmorProfile: 'docker-default' },
    ...{ Config: { User: options.User }, HostConfig: host as HostConfig, Mounts: mounts },
  };
  return seen as ContainerInspectInfo;
}

describe('a policy', () => {
  it('is as hardened as it has to be in what is asked for', () => {
    expect(requestedPolicy(OPTIONS, NAMES, ENGINE)).toEqual(HARDENED);
  });

  it('is the same in what the engine shows', () => {
    expect(inspectedPolicy(shown(OPTIONS), NAMES, ENGINE)).toEqual(HARDENED);
  });

  it('is the same in what Podman shows, in its own words', () => {
    const tmpfs = { '/data': 'rw', '/run': 'rw,rprivate', '/var/tmp': 'rw,rprivate' };
    const ulimits = OPTIONS.HostConfig?.Ulimits?.map((one) => ({ ...one, Name: `RLIMIT_${one.Name?.toUpperCase()}` }));
    const seen = shown(OPTIONS, {
      ...{ IpcMode: 'shareable', PidMode: 'private', UTSMode: 'private', CgroupnsMode: '', Runtime: 'oci' },
      ...{ ShmSize: 65_536_000, MaskedPaths: [], ReadonlyPaths: [], Ulimits: ulimits, Tmpfs: tmpfs },
      CapDrop: DEFAULTS,
    });
    Object.assign(seen, { Path: '/run/podman-init', Args: ['--', '/run/kandev-launcher', 'launch'] });
    expect(inspectedPolicy(seen, NAMES, { ...ENGINE, product: 'podman' })).toEqual(HARDENED);
    seen.HostConfig.PidMode = 'host';
    expect(inspectedPolicy(seen, NAMES, { ...ENGINE, product: 'podman' }).pid_mode).toBe('host');
    expect(inspectedPolicy(seen, NAMES, ENGINE)).not.toEqual(HARDENED);
  });

  it('asks for no profile where the engine has none', () => {
    expect(requestedPolicy(OPTIONS, NAMES, { ...ENGINE, apparmor: false }).apparmor).toBe('');
  });

  it.each<[string, Record<string, unknown>, Partial<SandboxPolicy>]>([
    ['limits that are none', { PidsLimit: 0, Memory: 0, MemorySwap: -1 }, { pids: null, memory_bytes: null }],
    ['another spelling', { SecurityOpt: ['no-new-privileges:true', 'seccomp=builtin'] }, {}],
    ['a profile of its own', { SecurityOpt: ['seccomp={}'] }, { seccomp: 'a profile of its own' }],
    ['privileges that may be gained', { SecurityOpt: ['no-new-privileges:false'] }, { no_new_privileges: false }],
    ['nothing that is hidden', { MaskedPaths: null, ReadonlyPaths: null }, { masked_paths: false }],
    ['one by one what was dropped', { CapDrop: DEFAULTS.map((name) => `CAP_${name}`) }, { cap_drop: ['ALL'] }],
    ['some of it', { CapDrop: ['CAP_CHOWN'] }, { cap_drop: ['CHOWN'] }],
    ['devices', { Devices: [{ PathOnHost: '/dev/a', PathInContainer: '/dev/b' }] }, { devices: ['/dev/b'] }],
    ['more', { Sysctls: { a: '1' }, Runtime: 'other', OomKillDisable: true }, { extras: MORE }],
    ['tmpfs', { Tmpfs: { '/data': 'ro,size=1' } }, {}],
  ])('reads %s', (_, change, expected) => {
    expect(inspectedPolicy(shown(OPTIONS, change), NAMES, ENGINE)).toMatchObject(expected);
  });

  it('names no place of the host', () => {
    const mounts: SeenMount[] = [
      { Type: 'bind', Source: '/etc', Destination: '/host', RW: true },
      { Type: 'volume', Source: '/var/lib/docker/volumes/1', Destination: '/data', RW: true },
      { Type: 'bind', Source: SPEC.workspace_directory, Destination: '/elsewhere', RW: false },
      { Type: 'bind', Source: SPEC.home_directory, Destination: '/home/agent', RW: true, Propagation: 'rshared' },
      { Type: 'bind', Source: `${HOME}/granted/a/id`, Destination: '/elsewhere', RW: false },
      { Type: 'bind', Source: `${HOME}/launcher/../t`, Destination: '/run/kandev-launcher', RW: false },
    ];
    const seen = { ...shown(OPTIONS), Mounts: mounts } as ContainerInspectInfo;
    seen.HostConfig.Tmpfs = {};
    expect(inspectedPolicy(seen, NAMES, ENGINE)).toMatchObject({
      entrypoint: '/run/kandev-launcher',
      mounts: [
        'another place of the host /elsewhere ro',
        'another place of the host /host rw',
        'another place of the host /run/kandev-launcher ro',
        'home shared /home/agent rw',
        'volume /data rw',
        'workspace /elsewhere ro',
      ],
    });
  });
});
