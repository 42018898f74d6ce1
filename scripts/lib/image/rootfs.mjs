// What lies in the demo agent's image: a list of entries, its fingerprint, and the directory made from it.
import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { findNodeBinary, findProgram, gitExecPath, librariesOf, requireProgram } from './binaries.mjs';

/**
 * @typedef {{path: string, mode?: number, from?: string, text?: string, link?: string, strip?: boolean}} Entry
 * `path` is relative to the image's root. Exactly one of `from` (a file of this machine), `text` and `link` (a symbolic
 * link's target) is set, or none for a directory.
 */

/** Beside `sh` and `git`: what test scripts commonly call. Those this machine lacks are left out. */
export const TOOLS =
  'basename cat chmod cp date dirname env grep head id ls mkdir mktemp mv rm sed sleep sort tail touch uname wc'.split(
    ' ',
  );
/** Nearly all of git is one binary; these are its names that git itself looks up among its helpers. */
const GIT_LINKS = ['git', 'git-upload-pack', 'git-receive-pack'];
/** Directories that are links into /usr on today's distributions. */
const MERGED = ['bin', 'sbin', 'lib', 'lib64'];

export const PASSWD = `root:x:0:0:root:/tmp:/bin/sh
agent:x:1000:1000:agent:/tmp:/bin/sh
nobody:x:65534:65534:nobody:/tmp:/bin/sh
`;
const GROUP = `root:x:0:
agent:x:1000:
nogroup:x:65534:
`;
// The checkout belongs to whoever runs the server, and the agent's uid may have no name: git must mind neither.
const GITCONFIG = `[safe]
	directory = *
[user]
	name = Demo agent
	email = demo-agent@kandev.invalid
`;

/**
 * Everything in an image, from this machine's programs: Node, git and a shell, with what they need and what is usual
 * beside them, and the files of an agent.
 * @param {string} projectRoot
 * @param {{tools?: string[], files?: Entry[], passwd?: string}} [agent] the demo agent's if left out; executable `files`
 *   come with the libraries they are linked with
 * @returns {Entry[]} in an order that makes each parent directory first
 */
export function planRootfs(projectRoot, { tools = TOOLS, files = demoAgent(projectRoot), passwd = PASSWD } = {}) {
  /** @type {Map<string, Entry>} */
  const entries = new Map();
  const add = (entry) => entries.has(entry.path) || entries.set(entry.path, entry);

  for (const name of MERGED) {
    add({ path: `usr/${name}` });
    add({ path: name, link: `usr/${name}` });
  }
  for (const path of ['proc', 'sys', 'dev', 'workspace', 'run', 'usr/share/git-core/templates']) add({ path });
  add({ path: 'tmp', mode: 0o1777 });
  add({ path: 'etc/passwd', text: passwd });
  add({ path: 'etc/group', text: GROUP });
  add({ path: 'etc/gitconfig', text: GITCONFIG });

  const shipped = new Map();
  const addProgram = (from, path, strip = false) => {
    // Several names of one file, as busybox has them, become links to the first.
    const first = shipped.get(from);
    if (first) return add({ path, link: `/${first}` });
    shipped.set(from, path);
    add({ path, from, mode: 0o755, strip });
    for (const library of librariesOf(from)) add({ path: imagePath(library), from: library, mode: 0o755 });
  };
  addProgram(findNodeBinary(projectRoot), 'usr/local/bin/node', true);
  addProgram(requireProgram('sh'), 'usr/bin/sh');
  const git = requireProgram('git');
  addProgram(git, 'usr/bin/git');
  const helpers = gitExecPath(git);
  for (const name of GIT_LINKS) add({ path: imagePath(join(helpers, name)), link: '/usr/bin/git' });
  for (const name of tools) {
    const tool = findProgram(name);
    if (tool) addProgram(tool, `usr/bin/${name}`);
  }
  for (const file of files) {
    if (file.from && file.mode === 0o755) addProgram(file.from, file.path);
    else add(file);
  }
  return [...entries.values()];
}

/** @param {string} projectRoot */
function demoAgent(projectRoot) {
  const agent = join(projectRoot, 'agents', 'demo-agent');
  return filesBeneath(agent)
    .filter((name) => name.endsWith('.mjs'))
    .map((from) => ({ path: join('opt/kandev/demo-agent', relative(agent, from)), from }));
}

/** A path of this machine, as the image has it: without the leading slash, and inside /usr where the image links there. */
function imagePath(path) {
  const [top, ...rest] = path.slice(1).split('/');
  return MERGED.includes(top) ? join('usr', top, ...rest) : path.slice(1);
}

export function filesBeneath(directory) {
  return readdirSync(directory, { withFileTypes: true })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(directory, entry.name);
      return entry.isDirectory() ? filesBeneath(path) : [path];
    });
}

/**
 * The same for the same image, whichever machine makes it.
 * @param {Entry[]} entries
 * @param {string[]} changes the image's configuration
 * @returns {string} SHA-256 in hex
 */
export function fingerprint(entries, changes) {
  const hash = createHash('sha256').update(JSON.stringify(changes));
  for (const { from, ...entry } of entries) {
    hash.update(JSON.stringify(entry));
    if (from) hash.update(createHash('sha256').update(readFileSync(from)).digest());
  }
  return hash.digest('hex');
}

/**
 * Lays the entries out beneath an empty directory.
 * @param {Entry[]} entries
 * @param {string} root
 */
export function stageRootfs(entries, root) {
  const stripper = findProgram('strip');
  for (const { path, mode, from, text, link, strip } of entries) {
    const target = join(root, path);
    mkdirSync(dirname(target), { recursive: true });
    if (link !== undefined) symlinkSync(link, target);
    else if (text !== undefined) writeFileSync(target, text);
    // Node comes with its symbol table: 18 MB that only a debugger would miss.
    else if (from && strip && stripper) execFileSync(stripper, ['-o', target, from]);
    else if (from) copyFileSync(from, target);
    else mkdirSync(target, { recursive: true });
    if (link === undefined) chmodSync(target, mode ?? (from || text !== undefined ? 0o644 : 0o755));
  }
}
