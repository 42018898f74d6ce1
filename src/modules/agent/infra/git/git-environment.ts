import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../../../common/config/config.js';

/** Read, never written: git's own `store` would strike out what a server has refused once. */
const READ_ONLY_STORE = '!f() { test "$1" = get && git credential-store get; }; f';

/**
 * Nothing but this counts. What runs a program or follows a link to elsewhere is off; objects are checked when they
 * come in, but for flaws of old tools that harm nobody and that well-known repositories have.
 */
const LINES = `
[core]
	hooksPath = /dev/null
	fsmonitor = false
	attributesFile = /dev/null
	excludesFile = /dev/null
[protocol]
	allow = never
[advice]
	detachedHead = false
[submodule]
	recurse = false
[fetch]
	unpackLimit = 1
	fsckObjects = true
	recurseSubmodules = false
	writeCommitGraph = false
[fetch "fsck"]
	zeroPaddedFilemode = ignore
	missingSpaceBeforeDate = ignore
	badTimezone = ignore
[transfer]
	fsckObjects = true
	bundleURI = false
	hideRefs = refs/kandev
[http]
	followRedirects = false
	lowSpeedLimit = 1
	lowSpeedTime = 120
[gc]
	auto = 0
[maintenance]
	auto = false
[user]
	useConfigOnly = true
`;

/** ssh goes by the account's home, whatever HOME says: a user who was granted no keys must not get the server's. */
const SSH_WITHOUT_KEYS =
  'ssh -F /dev/null -oIdentityFile=/dev/null -oIdentitiesOnly=yes -oIdentityAgent=none -oUserKnownHostsFile=/dev/null';

/** No questions, no forwarding of anything, and an end to waiting for who is gone, whether we live to see it or not. */
const SSH_OPTIONS = [
  '-oBatchMode=yes',
  '-oConnectTimeout=30',
  '-oClearAllForwardings=yes',
  '-oForwardAgent=no',
  '-oServerAliveInterval=30',
];

/** Git's configuration: a file of ours, and one more for each set of local repositories that git may read. */
export class GitConfig {
  /** Git runs here: no repository, and none above it is looked for. */
  readonly directory: string;
  private readonly base: string;
  private written = false;

  constructor({ home }: Config) {
    this.directory = join(home, 'git');
    this.base = join(this.directory, 'config');
  }

  /** The file for a call; `local` are repositories that may belong to other users of this machine. */
  path(local: readonly string[] | undefined): string {
    this.write();
    if (!local?.length) return this.base;
    // Only files count for this: git clears what its command line says before it starts the other side.
    const lines = local.flatMap((path) => [path, `${path}/.git`]).map((path) => `\tdirectory = "${quoted(path)}"\n`);
    const text = `${LINES}[safe]\n${lines.join('')}`;
    const path = join(this.directory, `config-${createHash('sha256').update(text).digest('hex').slice(0, 16)}`);
    if (!existsSync(path)) writeFileSync(path, text, { mode: 0o600 });
    return path;
  }

  /** With the first call, and once: one of another version may be there. */
  private write(): void {
    if (this.written) return;
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    writeFileSync(this.base, LINES, { mode: 0o600 });
    this.written = true;
  }
}

/** A text for a quoted value of git's configuration. */
export function quoted(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n').replaceAll('\t', '\\t');
}

/** What a call of git is to reach, as far as its environment is concerned. */
interface Surroundings {
  gitDir: string | undefined;
  network: { ssh?: string[] } | undefined;
  local: boolean;
  /** Undefined where nobody looks after credentials: then git has those of the server's own user. */
  granted: Record<string, string> | undefined;
  own: Record<string, string> | undefined;
}

/** Everything that git sees of our environment. */
export function gitEnvironment(config: Config, configFile: string, run: Surroundings): NodeJS.ProcessEnv {
  const { network, local, granted } = run;
  const protocols = [...(network ? ['https', 'http', 'ssh', 'git'] : []), ...(local ? ['file'] : [])];
  return {
    PATH: config.host_environment['PATH'],
    HOME: '/nonexistent', // where no `.netrc` and no `.ssh` is
    ...(network ? { ...wayOut(config), ...(granted ?? ownCredentials(config)) } : {}),
    ...(network ? { GIT_SSH_COMMAND: sshCommand(granted, network.ssh) } : {}),
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: configFile,
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_LFS_SKIP_SMUDGE: '1',
    GIT_NO_LAZY_FETCH: '1',
    GIT_NO_REPLACE_OBJECTS: '1', // a repository may carry refs/replace, which would show other content than is there
    GIT_OPTIONAL_LOCKS: '0',
    GIT_CEILING_DIRECTORIES: config.home,
    GIT_ALLOW_PROTOCOL: protocols.join(':') || 'none',
    ...(run.gitDir === undefined ? {} : { GIT_DIR: run.gitDir }),
    ...run.own,
  };
}

/** How this machine gets out, and whom it trusts. */
function wayOut({ host_environment }: Config): Record<string, string | undefined> {
  const { SSL_CERT_FILE, GIT_SSL_CAINFO, https_proxy, http_proxy, no_proxy } = host_environment;
  return { SSL_CERT_FILE, GIT_SSL_CAINFO, https_proxy, http_proxy, no_proxy };
}

function ownCredentials({ host_environment: { HOME, SSH_AUTH_SOCK } }: Config): Record<string, string | undefined> {
  const helper = { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'credential.helper', GIT_CONFIG_VALUE_0: READ_ONLY_STORE };
  return { HOME, SSH_AUTH_SOCK, ...helper };
}

/** Through a shell of git's: each option is a word of letters, digits and what addresses are made of. */
function sshCommand(granted: Record<string, string> | undefined, options: readonly string[] = []): string {
  if (options.some((option) => !/^-o[A-Za-z]+=[\w.:[\]-]+$/.test(option))) throw new Error('not an option of ssh');
  const ssh = granted ? (granted['GIT_SSH_COMMAND'] ?? SSH_WITHOUT_KEYS) : 'ssh';
  return [ssh, ...SSH_OPTIONS, ...options.map((option) => `'${option}'`)].join(' ');
}
