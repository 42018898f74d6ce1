// The shipped agents: the table of what is different about them, and their images.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { buildFromHost } from './from-host.mjs';
import { filesBeneath, PASSWD, planRootfs, TOOLS } from './rootfs.mjs';

const INSTALLED = 'opt/kandev/agent';
/** What coding agents call beside the demo agent's tools; those this machine lacks are left out. */
const MORE_TOOLS = [
  'awk',
  'bash',
  'cut',
  'diff',
  'find',
  'ln',
  'node',
  'ps',
  'realpath',
  'rg',
  'tee',
  'tr',
  'which',
  'xargs',
];
/** As in the base image. */
const NODE_USER = 'node:x:1000:1000:node:/home/node:/bin/sh\n';
const KEPT = new Set(['ENV', 'LABEL', 'CMD', 'USER', 'WORKDIR']);

/**
 * @typedef {{name: string, title: string, repository: string, package: string, command: string[]}} Agent see
 *   agents/agents.json
 */

/** @param {string} projectRoot @returns {Agent[]} */
export function shippedAgents(projectRoot) {
  return JSON.parse(readFileSync(join(projectRoot, 'agents/agents.json'), 'utf8')).agents;
}

/**
 * Builds an agent's image from this machine's programs and the packages of its lock file.
 * @param {{projectRoot: string, name: string, tag: string, version: string, log?: (line: string) => void}} image
 */
export async function buildAgentFromHost({ projectRoot, name, tag, version, log }) {
  const packages = installPackages(projectRoot, join(projectRoot, 'agents', name));
  const files = entriesOf(packages, INSTALLED);
  const entries = planRootfs(projectRoot, { tools: [...TOOLS, ...MORE_TOOLS], files, passwd: PASSWD + NODE_USER });
  const ca = '/etc/ssl/certs/ca-certificates.crt';
  if (existsSync(ca)) entries.push({ path: ca.slice(1), from: ca });
  entries.push({ path: 'home/node', mode: 0o755 }, ...linksOf(projectRoot, name), ...copiesOf(projectRoot, name));
  return buildFromHost({ tag, entries, config: configOf(projectRoot, name, version), log });
}

/** As `install-agent` does it, kept from one build to the next. @param {string} projectRoot @param {string} agent */
function installPackages(projectRoot, agent) {
  const lock = readFileSync(join(agent, 'package-lock.json'));
  const hash = createHash('sha256').update(lock).digest('hex').slice(0, 16);
  const kept = join(projectRoot, 'node_modules/.cache/kandev/agents', hash);
  if (existsSync(kept)) return kept;
  const fresh = `${kept}.${process.pid}`;
  mkdirSync(fresh, { recursive: true });
  for (const file of ['package.json', 'package-lock.json']) cpSync(join(agent, file), join(fresh, file));
  const options = ['--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  execFileSync('npm', ['ci', ...options], { cwd: fresh, stdio: ['ignore', 'ignore', 'inherit'] });
  try {
    renameSync(fresh, kept);
  } catch (error) {
    if (!existsSync(kept)) throw error;
    rmSync(fresh, { recursive: true, force: true }); // another build was faster
  }
  return kept;
}

/** @param {string} directory @param {string} target @returns {import('./rootfs.mjs').Entry[]} */
function entriesOf(directory, target) {
  return filesBeneath(directory).map((from) => {
    const path = join(target, relative(directory, from));
    if (lstatSync(from).isSymbolicLink()) return { path, link: readlinkSync(from) };
    return { path, from, mode: isExecutable(from) ? 0o755 : 0o644 };
  });
}

/** @param {string} path */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Links that the Dockerfile makes: `RUN ln -s TARGET PATH`. @returns {import('./rootfs.mjs').Entry[]} */
function linksOf(projectRoot, name) {
  return instructions(projectRoot, name)
    .filter(([word, rest]) => word === 'RUN' && rest.startsWith('ln -s '))
    .map(([, rest]) => rest.replace(/\$\(uname .*?'\)/, process.arch).split(' '))
    .map(([, , link = '', path = '']) => ({ path: path.slice(1), link }));
}

/** Files that the Dockerfile copies beside the packages: `COPY FILE /PATH`. @returns {import('./rootfs.mjs').Entry[]} */
function copiesOf(projectRoot, name) {
  return instructions(projectRoot, name)
    .filter(([word, rest]) => word === 'COPY' && rest.includes(' /'))
    .map(([, rest]) => rest.split(' '))
    .map(([file = '', path = '']) => ({ path: path.slice(1), from: join(projectRoot, 'agents', name, file) }));
}

/** What the Dockerfiles of base and agent say of the image itself. @param {string} version */
function configOf(projectRoot, name, version) {
  const lines = [...instructions(projectRoot, 'base'), ...instructions(projectRoot, name)]
    .filter(([word]) => KEPT.has(word))
    .map(([word, rest]) => `${word} ${rest.replace('$VERSION', version)}`);
  return ['ENV HOME=/tmp LANG=C.UTF-8', ...lines];
}

/** @returns {[word: string, rest: string][]} of `agents/NAME/Dockerfile` */
function instructions(projectRoot, name) {
  const text = readFileSync(join(projectRoot, 'agents', name, 'Dockerfile'), 'utf8');
  const lines = text
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n');
  return lines
    .filter((line) => line !== '')
    .map((line) => [line.split(' ', 1)[0] ?? '', line.slice(line.indexOf(' ') + 1)]);
}
