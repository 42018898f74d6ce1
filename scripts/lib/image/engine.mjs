// A very small client for the Docker Engine's HTTP API, so that scripts need neither the `docker` command nor a package.
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const DEFAULT_HOST = 'unix:///var/run/docker.sock';

/**
 * Where the engine listens, as options for `http.request`.
 * Follows DOCKER_HOST (`unix://` or `tcp://`), DOCKER_TLS_VERIFY and DOCKER_CERT_PATH, as the `docker` command does.
 * @returns {{request: typeof httpRequest, options: import('node:https').RequestOptions}}
 */
function engineAddress() {
  const host = process.env.DOCKER_HOST || DEFAULT_HOST;
  if (host.startsWith('unix://'))
    return { request: httpRequest, options: { socketPath: host.slice('unix://'.length) } };
  if (!host.startsWith('tcp://')) throw new Error(`DOCKER_HOST=${host} is neither unix:// nor tcp://`);
  const { hostname, port } = new URL(host);
  if (!process.env.DOCKER_TLS_VERIFY) return { request: httpRequest, options: { hostname, port: port || 2375 } };
  const [ca, cert, key] = ['ca', 'cert', 'key'].map((name) =>
    readFileSync(join(process.env.DOCKER_CERT_PATH ?? '', `${name}.pem`)),
  );
  return { request: httpsRequest, options: { hostname, port: port || 2376, ca, cert, key } };
}

/**
 * One call of the engine.
 * @param {string} method
 * @param {string} path with its query
 * @param {{body?: import('node:stream').Readable, timeoutMs?: number}} [options] `timeoutMs` is the longest silence
 * @returns {Promise<{status: number, body: string}>} rejects when the engine cannot be reached
 */
export function callEngine(method, path, { body, timeoutMs = 300_000 } = {}) {
  return new Promise((resolve, reject) => {
    const { request, options } = engineAddress();
    const outgoing = request({ ...options, method, path, timeout: timeoutMs, agent: false }, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk) => (text += chunk));
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body: text }));
      answer.on('error', reject);
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error(`the Docker engine did not answer ${method} ${path}`)));
    outgoing.on('error', reject);
    if (!body) return void outgoing.end();
    body.on('error', (error) => outgoing.destroy(error));
    body.pipe(outgoing);
  });
}

/** Whether a Docker engine answers within two seconds. Never rejects. */
export async function engineAnswers() {
  try {
    return (await callEngine('GET', '/_ping', { timeoutMs: 2_000 })).status === 200;
  } catch {
    return false;
  }
}

/**
 * What the engine knows of an image.
 * @param {string} name a tag or an id
 * @returns {Promise<{Id: string, Size: number, Config: {Labels: Record<string, string> | null}} | null>} null if absent
 */
export async function inspectImage(name) {
  const { status, body } = await callEngine('GET', `/images/${name}/json`);
  if (status === 404) return null;
  if (status !== 200) throw new Error(`the Docker engine refused to inspect ${name}: ${status} ${body.trim()}`);
  return JSON.parse(body);
}

/**
 * Makes an image of one layer from a tar stream.
 * @param {{tag: string, changes: string[], tar: import('node:stream').Readable}} image `changes` are Dockerfile lines
 */
export async function importImage({ tag, changes, tar }) {
  const colon = tag.lastIndexOf(':');
  const query = new URLSearchParams({ fromSrc: '-', repo: tag.slice(0, colon), tag: tag.slice(colon + 1) });
  for (const change of changes) query.append('changes', change);
  const { status, body } = await callEngine('POST', `/images/create?${query}`, { body: tar });
  // The engine answers 200 before it has read the stream: a later failure is a line of the body.
  const failure = body.split('\n').find((line) => line.includes('"error"'));
  if (status !== 200 || failure) throw new Error(`the Docker engine refused the image: ${status} ${failure ?? body}`);
}

/** Removes an image that nothing uses or names any more; leaves it where something does. */
export async function removeUnusedImage(id) {
  await callEngine('DELETE', `/images/${id}`);
}

/** The engine's platform in Go's words, such as `{os: 'linux', arch: 'amd64'}`. */
export async function enginePlatform() {
  const { body } = await callEngine('GET', '/version');
  const { Os: os, Arch: arch } = JSON.parse(body);
  return { os, arch };
}
