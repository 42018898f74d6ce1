import { createHash } from 'node:crypto';
import type { HostFacts, QueueFacts, TypeNeeds } from './queue-facts.js';

// What the claim asks of a host, for one run.

/** Whether the host has all labels that are asked for. */
export function hasLabels({ labels }: HostFacts, { host_labels }: TypeNeeds): boolean {
  return host_labels.every((label) => labels.includes(label));
}

/** What the host lacks for an agent of these needs; null where it has room. One that asks for more than all gets all. */
export function missingOn(host: HostFacts, needs: TypeNeeds): { memory_bytes: number; cpus: number } | null {
  const memory_bytes = Math.min(needs.memory_bytes, host.memory_bytes) - (host.memory_bytes - host.held_memory_bytes);
  const cpus = Math.min(needs.cpus, host.cpus) - (host.cpus - host.held_cpus);
  if (memory_bytes <= 0 && cpus <= 0) return null;
  return { memory_bytes: Math.max(0, memory_bytes), cpus: Math.max(0, cpus) };
}

/** The host that saves up for a run: one of those that may run it, always the same; the one that is asked counts too. */
export function saverOf(
  run_id: string,
  needs: TypeNeeds,
  { savers, limits }: Pick<QueueFacts, 'savers' | 'limits'>,
  asked: HostFacts,
): HostFacts | undefined {
  const others = savers.filter((host) => host !== asked && !host.draining);
  const hasSlots = ({ id, slots }: HostFacts): boolean => (limits.maxOf('host', id) ?? slots) > 0;
  const able = [asked, ...others].filter((host) => hasSlots(host) && hasLabels(host, needs));
  const lots = new Map(
    able.map((host) => [
      host,
      createHash('md5')
        .update(run_id + host.id)
        .digest('hex'),
    ]),
  );
  return able.toSorted((a, b) => (lots.get(a)! < lots.get(b)! ? -1 : 1))[0];
}

/** Of the host that has most of the labels, those it has not. */
export function missingLabels({ host_labels }: TypeNeeds, hosts: readonly HostFacts[]): string[] {
  const missing = hosts.map(({ labels }) => host_labels.filter((label) => !labels.includes(label)));
  return missing.reduce((best, each) => (each.length < best.length ? each : best));
}
