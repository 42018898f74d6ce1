// The test agent as one file that needs nothing but Node, and its image.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { buildFromHost } from './from-host.mjs';
import { filesBeneath, planRootfs } from './rootfs.mjs';

export const TEST_AGENT_IMAGE = 'kandev/test-agent:latest';

const PLACE = 'opt/kandev/test-agent/test-agent.mjs';
const CONFIG = [
  'ENV PATH=/usr/local/bin:/usr/bin:/bin HOME=/tmp LANG=C.UTF-8',
  'WORKDIR /workspace',
  'USER 1000:1000',
  `CMD ["node", "/${PLACE}"]`,
  'LABEL org.opencontainers.image.title="Test agent of Kandev" io.kandev.agent.name=test-agent',
  'LABEL io.kandev.agent.protocol=agent-client-protocol',
];

/**
 * The bundle, made anew where the agent or the SDK has changed.
 * @param {string} projectRoot
 * @returns {string} its path
 */
export function bundleTestAgent(projectRoot) {
  const agent = join(projectRoot, 'agents/test-agent');
  const modules = join(projectRoot, 'node_modules');
  const hash = createHash('sha256').update(readFileSync(join(modules, '@agentclientprotocol/sdk/package.json')));
  for (const file of filesBeneath(agent).filter((name) => name.endsWith('.mjs'))) hash.update(readFileSync(file));
  const kept = join(modules, '.cache/kandev', `test-agent-${hash.digest('hex').slice(0, 16)}.mjs`);
  if (existsSync(kept)) return kept;
  mkdirSync(join(modules, '.cache/kandev'), { recursive: true });
  const fresh = `${kept}.${process.pid}`;
  // The bundler that comes with vitest; the lock file pins it.
  const bundler = [join(modules, 'rolldown/bin/cli.mjs'), join(agent, 'test-agent.mjs')];
  const options = ['--platform', 'node', '--format', 'esm', '--file', fresh];
  execFileSync(process.execPath, [...bundler, ...options], { stdio: 'pipe', cwd: projectRoot });
  renameSync(fresh, kept);
  return kept;
}

/** @param {string} projectRoot */
export function buildTestAgentImage(projectRoot) {
  const files = [{ path: PLACE, from: bundleTestAgent(projectRoot), mode: 0o644 }];
  return buildFromHost({ tag: TEST_AGENT_IMAGE, entries: planRootfs(projectRoot, { files }), config: CONFIG });
}
