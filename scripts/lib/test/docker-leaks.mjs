import { realpathSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { sep } from 'node:path';

/** Every container and network of ours says with this label in which KANDEV_HOME its server works. */
const HOME_LABEL = 'kandev.home_path';
const ANSWER_WITHIN_MS = 10_000;

/**
 * What servers under the temporary directory, that is: tests, own in Docker right now.
 *
 * @returns {Promise<Map<string, string> | undefined>} id → description; undefined when no engine answers
 */
export async function listTestLeftovers() {
  const filters = encodeURIComponent(JSON.stringify({ label: [HOME_LABEL] }));
  try {
    const containers = await get(`/containers/json?all=1&filters=${filters}`);
    const networks = await get(`/networks?filters=${filters}`);
    return new Map([
      ...containers.filter(isOfTests).map((c) => [c.Id, `container ${c.Names.join(' ')} (${c.State}, ${c.Image})`]),
      ...networks.filter(isOfTests).map((n) => [n.Id, `network ${n.Name}`]),
    ]);
  } catch (error) {
    if (['ENOENT', 'ECONNREFUSED', 'EACCES', 'ENOTFOUND', 'ETIMEDOUT'].includes(error.code)) return undefined;
    throw error;
  }
}

function isOfTests({ Labels }) {
  const home = Labels?.[HOME_LABEL] ?? '';
  return [tmpdir(), realpathSync(tmpdir())].some((dir) => home.startsWith(dir + sep));
}

function get(path) {
  return new Promise((resolve, reject) => {
    const req = request({ ...engineAddress(), path, timeout: ANSWER_WITHIN_MS }, (res) => {
      const chunks = [];
      res.on('data', (chunk) => chunks.push(chunk));
      res.on('error', reject);
      res.on('end', () => {
        const body = Buffer.concat(chunks).toString();
        if (res.statusCode === 200) resolve(JSON.parse(body));
        else reject(new Error(`Docker answered ${res.statusCode} to ${path}: ${body}`));
      });
    });
    req.on('timeout', () => req.destroy(Object.assign(new Error('Docker does not answer'), { code: 'ETIMEDOUT' })));
    req.on('error', reject);
    req.end();
  });
}

/** The engine that `DOCKER_HOST` names, or the usual socket. */
function engineAddress() {
  const host = process.env.DOCKER_HOST;
  if (!host) return { socketPath: '/var/run/docker.sock' };
  const url = new URL(host);
  return url.protocol === 'unix:' ? { socketPath: url.pathname } : { host: url.hostname, port: url.port };
}
