import { Inspector } from './inspector.js';

/** A sampled call tree, as V8 writes it. */
export interface CpuProfile {
  nodes: { id: number; callFrame: { functionName: string; url: string }; children?: number[] }[];
  samples: number[];
  /** Microseconds before each sample. */
  timeDeltas: number[];
}

/** Microseconds between two samples: fine enough for a request of 1 ms, and hardly slower. */
const INTERVAL_US = 200;

/** The processor profile of a Node process, from now until `stop`. */
export async function startProfile(inspectorUrl: string): Promise<{ stop(): Promise<CpuProfile> }> {
  const inspector = await Inspector.open(inspectorUrl);
  await inspector.post('Profiler.enable');
  await inspector.post('Profiler.setSamplingInterval', { interval: INTERVAL_US });
  await inspector.post('Profiler.start');
  return {
    async stop() {
      const { profile } = await inspector.post<{ profile: CpuProfile }>('Profiler.stop');
      inspector.close();
      return profile;
    },
  };
}

/** Packages that belong together, by the name that a table shows. */
const FAMILIES: readonly (readonly [string, RegExp])[] = [
  ['nest', /^@nestjs\/(core|common|platform-fastify)$/],
  ['nest cqrs', /^@nestjs\/cqrs$/],
  ['throttler', /^@nestjs\/throttler$/],
  ['rxjs', /^rxjs$/],
  ['pino', /^(pino.*|nestjs-pino|sonic-boom|thread-stream|quick-format-unescaped|safe-stable-stringify)$/],
  ['mikro-orm', /^@mikro-orm\//],
  ['kysely', /^kysely$/],
  ['pg', /^(pg|pg-.*|postgres-.*|pgpass)$/],
  ['validation', /^(class-validator|class-transformer|validator|libphonenumber-js)$/],
  ['jwt', /^(@nestjs\/jwt|jsonwebtoken|jws|jwa|ms|lodash\..*|buffer-equal-constant-time|safe-buffer|semver)$/],
  [
    'fastify',
    /^(fastify|@fastify\/.*|find-my-way|avvio|helmet|fast-.*|light-my-request|secure-json-parse|process-warning|reusify|fastq|ret|proxy-addr|ipaddr.js|toad-cache|rfdc)$/,
  ],
];

/**
 * Microseconds that each package has used itself. What Node does (JSON, sockets, crypto) counts for the package that
 * asked for it; `node` is what nobody asked for, `own` the code of this project, `gc` the collector.
 */
export function timeByPackage({ nodes, samples, timeDeltas }: CpuProfile): Map<string, number> {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const owners = new Map<number, string>();
  const visit = (id: number, inherited: string): void => {
    const node = byId.get(id);
    if (!node) return;
    const owner = ownerOf(node.callFrame) ?? inherited;
    owners.set(id, owner);
    for (const child of node.children ?? []) visit(child, owner);
  };
  const [root] = nodes;
  if (root) visit(root.id, 'node');
  const times = new Map<string, number>();
  for (const [n, id] of samples.entries()) {
    const owner = owners.get(id) ?? 'node';
    if (owner !== 'idle') times.set(owner, (times.get(owner) ?? 0) + (timeDeltas[n] ?? 0));
  }
  return times;
}

function ownerOf({ functionName, url }: { functionName: string; url: string }): string | undefined {
  if (functionName === '(garbage collector)') return 'gc';
  if (functionName === '(idle)') return 'idle';
  if (functionName === '(program)') return 'node';
  const name = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1];
  if (name !== undefined) return FAMILIES.find(([, pattern]) => pattern.test(name))?.[0] ?? name;
  return url.startsWith('file:') ? 'own' : undefined;
}
