import { describe, expect, it } from 'vitest';
import type { EngineCapabilities } from './sandbox-engine.js';
import { compareSandbox } from './sandbox-policy.js';
import type { AskedSandbox, SandboxPolicy, SandboxProbe } from './sandbox.js';

const CAPABLE: EngineCapabilities = {
  ...{ seccomp: true, apparmor: true, memory_limit: true, swap_limit: true, pids_limit: true, cpu_limit: true },
  ...{ product: 'docker', private_cgroupns: true, default_runtime: 'runc', default_cgroupns: 'private' },
};
const POLICY: SandboxPolicy = {
  ...{ image: 'sha256:1', entrypoint: 'launcher', user: '10001:10001', groups: [], privileged: false },
  ...{ cap_add: [], cap_drop: ['ALL'], no_new_privileges: true, seccomp: 'default', apparmor: 'default' },
  ...{ masked_paths: true, read_only_root: true, network_mode: 'none', ipc_mode: 'private', pid_mode: '' },
  ...{ userns_mode: '', uts_mode: '', cgroupns_mode: 'private', memory_bytes: 2 ** 28, memory_swap_bytes: 2 ** 28 },
  ...{ nano_cpus: 1.5e9, pids: 512, ulimits: ['core 0 0', 'nofile 8192 8192'] },
  mounts: ['launcher /run/kandev-launcher ro', 'workspace /workspace rw'],
  ...{ shm_bytes: 2 ** 26, devices: [], init: true, extras: [] },
};
const NONE = '0000000000000000';
const MOUNTS = [
  ...[
    ['/', 'overlay', 'ro'],
    ['/proc', 'proc', 'rw'],
    ['/proc/sys', 'proc', 'ro'],
    ['/proc/keys', 'tmpfs', 'rw'],
  ],
  ...[
    ['/sys', 'sysfs', 'ro'],
    ['/sys/fs/cgroup/memory', 'cgroup', 'ro'],
    ['/dev', 'tmpfs', 'rw'],
    ['/dev/shm', 'tmpfs', 'rw'],
  ],
  ...[
    ['/sbin/docker-init', 'ext4', 'ro'],
    ['/etc/hosts', 'ext4', 'ro'],
    ['/workspace', 'ext4', 'rw'],
    ['/run/kandev-launcher', 'ext4', 'ro'],
  ],
].map(([target = '', type = '', mode = '']) => ({ target, type, options: [mode, 'relatime'] }));
const OWN = 4_026_532_189; // the numbers of namespaces that were made after boot begin at 4 026 531 840
const PROBE: SandboxProbe = {
  ...{ uid: 10001, gid: 10001, groups: [10001], no_new_privileges: true, seccomp: 2 },
  capabilities: { CapInh: NONE, CapPrm: NONE, CapEff: NONE, CapBnd: NONE, CapAmb: NONE },
  ...{ apparmor: 'docker-default (enforce)', interfaces: ['lo', 'tunl0'], routes: [], mounts: MOUNTS },
  namespaces: { cgroup: OWN, ipc: OWN, net: OWN, pid: OWN, user: 4_026_531_837, uts: OWN },
  ...{ devices: ['full', 'null', 'random', 'tty', 'urandom', 'zero'], root_writable: false, proc_sys_writable: false },
  ...{ can_unshare_user: false, memory_max: 2 ** 28, memory_swap_max: 2 ** 28, nano_cpus: 1.5e9, pids_max: 512 },
  ...{ rlimits: ['core 0 0', 'fsize -1 -1', 'nofile 8192 8192'], pids: [1, 7] },
};
const ASKED: AskedSandbox = { policy: POLICY, network: 'isolated' };
const HOSTS = 4_026_531_839;

const inspecting = (change: Partial<SandboxPolicy>): string[] =>
  compareSandbox(ASKED, { ...POLICY, ...change }, PROBE, CAPABLE).differences;
const seeing = (change: Partial<SandboxProbe>, asked: AskedSandbox = ASKED, engine = CAPABLE): string[] =>
  compareSandbox(asked, asked.policy, { ...PROBE, ...change }, engine).differences;

describe('a sandbox', () => {
  it('is as it was asked for', () => {
    expect(compareSandbox(ASKED, POLICY, PROBE, CAPABLE)).toEqual({ differences: [], not_enforced: [] });
    expect(compareSandbox(ASKED, { ...POLICY, apparmor: '' }, null, CAPABLE).differences).toEqual([]);
  });

  it.each<[string, Partial<SandboxPolicy>]>([
    ['Image', { image: 'sha256:2' }],
    ['Entrypoint', { entrypoint: '/bin/sh' }],
    ['User', { user: '0:0' }],
    ['User', { user: '' }],
    ['GroupAdd', { groups: ['0'] }],
    ['Privileged', { privileged: true }],
    ['CapAdd', { cap_add: ['SYS_ADMIN'] }],
    ['CapDrop', { cap_drop: [] }],
    ['no-new-privileges', { no_new_privileges: false }],
    ['seccomp', { seccomp: 'unconfined' }],
    ['apparmor', { apparmor: 'unconfined' }],
    ['MaskedPaths', { masked_paths: false }],
    ['ReadonlyRootfs', { read_only_root: false }],
    ['NetworkMode', { network_mode: 'bridge' }],
    ['IpcMode', { ipc_mode: 'host' }],
    ['PidMode', { pid_mode: 'host' }],
    ['UsernsMode', { userns_mode: 'host' }],
    ['UTSMode', { uts_mode: 'host' }],
    ['CgroupnsMode', { cgroupns_mode: 'host' }],
    ['Memory', { memory_bytes: null }],
    ['MemorySwap', { memory_swap_bytes: 2 ** 29 }],
    ['NanoCpus', { nano_cpus: null }],
    ['PidsLimit', { pids: null }],
    ['Ulimits', { ulimits: ['core 0 0'] }],
    ['Ulimits', { ulimits: ['core 0 0', 'nofile 8192 1048576'] }],
    ['Mounts', { mounts: [...POLICY.mounts, 'another place of the host /host rw'] }],
    ['Mounts', { mounts: ['launcher /run/kandev-launcher rw', 'workspace /workspace rw'] }],
    ['ShmSize', { shm_bytes: 2 ** 40 }],
    ['Devices', { devices: ['/dev/kvm'] }],
    ['Init', { init: false }],
    ['extras: Sysctls', { extras: ['Sysctls'] }],
  ])('differs in %s as the engine shows it', (name, change) => {
    const found = inspecting(change);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(name.split(': ').at(-1));
    expect(found[0]).not.toContain('undefined');
  });

  it.each<[string, Partial<SandboxProbe>]>([
    ['User', { uid: 0 }],
    ['User', { gid: 0, groups: [10001] }],
    ['GroupAdd', { groups: [10001, 0] }],
    ['CapDrop', { capabilities: { ...PROBE.capabilities, CapBnd: '00000000a80425fb' } }],
    ['no-new-privileges', { no_new_privileges: false }],
    ['seccomp', { seccomp: 0 }],
    ['seccomp', { can_unshare_user: true }],
    ['apparmor', { apparmor: '' }],
    ['apparmor', { apparmor: 'unconfined' }],
    ['ReadonlyRootfs', { root_writable: true }],
    ['ReadonlyRootfs', { mounts: MOUNTS.map((one) => (one.target === '/' ? { ...one, options: ['rw'] } : one)) }],
    ['MaskedPaths', { proc_sys_writable: true }],
    ['MaskedPaths', { mounts: MOUNTS.filter(({ target }) => target !== '/proc/sys') }],
    ['NetworkMode', { interfaces: ['lo', 'eth0'] }],
    ['NetworkMode', { interfaces: [] }],
    ['NetworkMode', { routes: ['00000000'] }],
    ['IpcMode', { namespaces: { ...PROBE.namespaces, ipc: HOSTS } }],
    ['UTSMode', { namespaces: { ...PROBE.namespaces, uts: HOSTS } }],
    ['PidMode', { namespaces: { ...PROBE.namespaces, pid: HOSTS } }],
    ['CgroupnsMode', { namespaces: { ...PROBE.namespaces, cgroup: HOSTS } }],
    ['PidMode', { pids: [1, 2, 3, 4] }],
    ['Init', { pids: [1] }],
    ['(Memory)', { memory_max: -1 }],
    ['(Memory)', { memory_max: 2 ** 29 }],
    ['MemorySwap', { memory_swap_max: 2 ** 29 }],
    ['NanoCpus', { nano_cpus: -1 }],
    ['PidsLimit', { pids_max: 513 }],
    ['Ulimits', { rlimits: ['core 0 0', 'nofile 8192 1048576'] }],
    ['Ulimits', { rlimits: ['core 0 0'] }],
    ['Mounts', { mounts: [...MOUNTS, { target: '/host', type: 'ext4', options: ['rw'] }] }],
    ['Mounts', { mounts: [...MOUNTS, { target: '/run/docker.sock', type: 'tmpfs', options: ['ro'] }] }],
    ['Mounts', { mounts: [...MOUNTS, { target: '/proc/self', type: 'ext4', options: ['rw'] }] }],
    ['Mounts', { mounts: [...MOUNTS, { target: '/run/kandev-launcher', type: 'ext4', options: ['rw'] }] }],
    ['Mounts', { mounts: MOUNTS.filter(({ target }) => target !== '/workspace') }],
    ['Devices', { devices: [...PROBE.devices, 'kvm'] }],
  ])('differs in %s as seen from inside', (name, change) => {
    const found = seeing(change);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(name);
    expect(found[0]).toContain('seen from inside');
  });

  it('has one interface more where the network is open', () => {
    const open: AskedSandbox = { policy: { ...POLICY, network_mode: 'kandev-open-1' }, network: 'open' };
    expect(seeing({ interfaces: ['eth0', 'lo'], routes: ['00000000', '000011AC'] }, open)).toEqual([]);
    expect(seeing({ interfaces: ['eth0', 'eth1', 'lo'], routes: ['00000000'] }, open)).toHaveLength(1);
  });

  it('may round a limit, and tell none of it', () => {
    expect(seeing({ memory_max: 2 ** 28 - 4096, memory_swap_max: 2 ** 28 + 4096, nano_cpus: 1.5e9 - 1 })).toEqual([]);
    expect(seeing({ memory_max: null, memory_swap_max: null, nano_cpus: null, pids_max: null })).toEqual([]);
  });

  it('says what its engine can not do, and refuses nothing for it', () => {
    const weak = {
      ...CAPABLE,
      seccomp: false,
      swap_limit: false,
      pids_limit: false,
      cpu_limit: false,
      private_cgroupns: false,
    };
    const seen: SandboxPolicy = { ...POLICY, memory_swap_bytes: null, pids: null, nano_cpus: null };
    const probe = { ...PROBE, seccomp: 0, memory_swap_max: -1, nano_cpus: -1, pids_max: -1, can_unshare_user: true };
    const { differences, not_enforced } = compareSandbox(ASKED, seen, probe, weak);
    expect(differences).toEqual([]);
    expect(not_enforced).toHaveLength(5);
    expect(compareSandbox(ASKED, { ...seen, memory_bytes: null }, probe, weak).differences).toHaveLength(1);
  });

  it('is not excused where nothing was asked for', () => {
    const policy = { ...POLICY, memory_bytes: null, memory_swap_bytes: null };
    const weak = { ...CAPABLE, memory_limit: false, swap_limit: false };
    expect(compareSandbox({ policy, network: 'none' }, policy, PROBE, weak)).toEqual({
      differences: [],
      not_enforced: [],
    });
  });

  it('has what Podman always gives', () => {
    const ETC = { target: '/etc/passwd', type: 'tmpfs', options: ['rw'] };
    const mounts = [
      ...MOUNTS,
      ...['/run', '/var/tmp'].map((target) => ({ target, type: 'tmpfs', options: ['rw'] })),
      ETC,
    ];
    expect(seeing({ can_unshare_user: true, mounts }, ASKED, { ...CAPABLE, product: 'podman' })).toEqual([]);
    expect(seeing({ can_unshare_user: true, mounts })).toHaveLength(4);
  });
});
