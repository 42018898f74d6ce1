// Builds the demo agent's image from programs of this machine, so that no image registry is needed.
import { dirname, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { CannotBuildHere } from './lib/image/binaries.mjs';
import { engineAnswers } from './lib/image/engine.mjs';
import { buildFromHost } from './lib/image/from-host.mjs';
import { planRootfs } from './lib/image/rootfs.mjs';

export { CannotBuildHere, engineAnswers };

export const DEMO_IMAGE = 'kandev/demo-agent:latest';

const PROJECT_ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const CONFIG = [
  'ENV PATH=/usr/local/bin:/usr/bin:/bin HOME=/tmp LANG=C.UTF-8',
  'WORKDIR /workspace',
  'USER 1000:1000',
  'CMD ["node", "/opt/kandev/demo-agent/demo-agent.mjs"]',
  'LABEL org.opencontainers.image.title="Demo agent of Kandev" org.opencontainers.image.version=1.0.0',
  'LABEL io.kandev.agent.name=demo-agent io.kandev.agent.protocol=json-lines',
];
const USAGE = `Builds the demo agent's image with the Docker engine that answers, without any image registry.

  node scripts/build-demo-image.mjs [--tag NAME]

  --tag NAME   name of the image (default ${DEMO_IMAGE})
  --help       this text

The engine is the one at DOCKER_HOST, else at /var/run/docker.sock. Does nothing when the same image is there already.
`;

/**
 * Builds the image unless the engine has the very same one.
 * @param {{log?: (line: string) => void, tag?: string}} [options]
 * @returns {Promise<{tag: string, id: string, size: number, built: boolean, seconds: number}>} `size` in bytes
 * @throws {CannotBuildHere} where this machine lacks what it takes; the message says what to do instead
 */
export async function buildDemoImage({ log = () => {}, tag = DEMO_IMAGE } = {}) {
  return buildFromHost({ tag, entries: planRootfs(PROJECT_ROOT), config: CONFIG, log });
}

async function main() {
  const { values } = parseArgs({ options: { tag: { type: 'string' }, help: { type: 'boolean', short: 'h' } } });
  if (values.help) return void process.stdout.write(USAGE);
  if (!(await engineAnswers())) {
    throw new Error('no Docker engine answers (DOCKER_HOST, else /var/run/docker.sock)');
  }
  await buildDemoImage({ log: (line) => console.log(line), ...(values.tag && { tag: values.tag }) });
}

if (process.argv[1] && import.meta.url === pathToFileURL(resolve(process.argv[1])).href) {
  main().catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
