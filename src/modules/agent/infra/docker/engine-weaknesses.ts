import type { NotEnforced } from '../../contracts/engine.queries.js';
import type { DiskMethod } from '../../domain/task-disks.js';
import type { EngineWords } from './engine-reader.js';

/** What agents are to be held by and this host can't, by what its engine says; with what it means. */
export function notEnforced(engine: EngineWords, diskMethod: DiskMethod): NotEnforced[] {
  const { capabilities: can, described, separates_siblings } = engine;
  const hasModule = can.apparmor || described.security.includes('selinux');
  const weaknesses: [holds: boolean, what: string, why: string][] = [
    [can.seccomp, 'the filter of system calls', 'The engine has no seccomp: agents may ask the kernel for anything.'],
    [
      !can.seccomp || can.product === 'docker',
      'no user namespaces',
      'The filter of system calls of this engine lets programs make user namespaces: more of the kernel can be reached.',
    ],
    [
      can.product === 'docker',
      'sized places in memory only',
      'Podman makes /run and /var/tmp writable beside a read-only root; what is written there counts as memory.',
    ],
    [
      can.private_cgroupns,
      'control groups of its own to see',
      "Podman shows agents the host's control groups, read-only, where these are of version 1.",
    ],
    [hasModule, 'AppArmor or SELinux', 'The engine has neither; the other walls around agents do not need them.'],
    [can.memory_limit, 'memory_limit', 'The engine can not limit memory: one agent can use up all of it.'],
    [
      !can.memory_limit || can.swap_limit,
      'memory without swap',
      'The kernel does not count swap: an agent at its memory_limit is swapped out before it is ended.',
    ],
    [can.cpu_limit, 'cpu_limit', 'The engine can not limit processor time: one agent can slow down all others.'],
    [can.pids_limit, 'the number of processes', 'The engine can not limit it: one agent can use up all there are.'],
    [
      separates_siblings,
      'agents with an open network apart from each other',
      'The engine does not use iptables for bridges: such agents can reach one another.',
    ],
    [
      diskMethod === 'filesystem',
      'disk_limit to the byte',
      'What a task writes is measured here, and its agent ended soon after: no file system of that size holds it.',
    ],
  ];
  return weaknesses.filter(([holds]) => !holds).map(([, what, why]) => ({ what, why }));
}
