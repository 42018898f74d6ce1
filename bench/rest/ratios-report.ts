import type { PartResult } from './part.js';
import type { Operation, OperationName } from './operations.js';
import { median, sum } from '../lib/statistics.js';
import { figure, markdownTable, verdict } from '../lib/table.js';
import { CONNECTIONS, ROUND, type Measured, type Round, type SideName } from './comparison.js';
import type { Profiles } from './profiles.js';
import type { Recipe } from './recipe.js';

const LEAST_SHARE = 0.01; // of an operation, to be worth a line in the breakdown

/** Both tables of the comparison: what each operation costs against raw SQL, and where the server spends it. */
export function report(
  list: readonly Operation[],
  measured: Measured,
  { recipes, profile }: { recipes: Record<OperationName, Recipe>; profile: Profiles },
): PartResult {
  const rows: string[][] = [];
  const data: Record<string, unknown> = {};
  let passed = true;
  for (const { name, title, aim } of list) {
    const of = (side: SideName, key: keyof Round): number => median(measured[name][side].map((round) => round[key]));
    const keys = ['cpu', 'p50', 'p99'] as const;
    for (const side of ['raw', 'jwt'] as const) {
      const over = Object.fromEntries(keys.map((key) => [key, of('kandev', key) / of(side, key)]));
      const verdictHere = side === 'raw' ? verdict(over['cpu'] ?? Number.NaN, aim) : '';
      if (verdictHere === 'MISS') passed = false;
      rows.push([
        side === 'raw' ? title : `${title}, raw with JWT`,
        side === 'raw' ? String(recipes[name].steps.length) : '',
        ...keys.map((key) => `${figure(of('kandev', key))} / ${figure(of(side, key))} = **${figure(over[key] ?? 0)}**`),
        `${figure(of('kandev', 'throughput'))} / ${figure(of(side, 'throughput'))} = **${figure(of(side, 'throughput') / of('kandev', 'throughput'))}**`,
        side === 'raw' ? `≤ ${aim}` : '',
        verdictHere,
      ]);
    }
    data[name] = { ...measured[name], statements: recipes[name].steps.map(({ text }) => text) };
  }
  const head = ['operation', 'statements', 'CPU µs', 'p50 ms', 'p99 ms', 'requests/s', 'aim (CPU)', ''];
  const text = [
    `Server / raw = **ratio** (of requests a second raw over server, so that less is better everywhere); medians of ${measured.get.kandev.length} rounds of ${ROUND.seconds} s in turn, ${CONNECTIONS} connections.`,
    markdownTable(head, rows),
    'Where the server spends it, CPU µs a request by share of samples (what Node does counts for the package that asked):',
    breakdown(list, profile, (name) => median(measured[name].kandev.map(({ cpu }) => cpu))),
  ].join('\n\n');
  return { title: 'Against raw SQL', text, passed, data: { ...data, profile: plain(profile) } };
}

function breakdown(list: readonly Operation[], profile: Profiles, cpu: (name: OperationName) => number): string {
  const share = (name: OperationName, owner: string): number =>
    (profile[name].get(owner) ?? 0) / sum([...profile[name].values()]);
  const owners = [...new Set(list.flatMap(({ name }) => [...profile[name].keys()]))];
  const most = (owner: string): number => Math.max(...list.map(({ name }) => share(name, owner)));
  const rows = owners
    .filter((owner) => most(owner) >= LEAST_SHARE)
    .toSorted((a, b) => most(b) - most(a))
    .map((owner) => [owner, ...list.map(({ name }) => figure(share(name, owner) * cpu(name)))]);
  return markdownTable(['package', ...list.map(({ title }) => title)], rows);
}

function plain(profile: Profiles): object {
  return Object.fromEntries(Object.entries(profile).map(([name, packages]) => [name, Object.fromEntries(packages)]));
}
