import { randomBytes } from 'node:crypto';
import { accessSync, constants, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { configSchema, type ParsedConfig } from './config.schema.js';
import { settings } from './settings.js';

/** The server's whole configuration: parsed once at start, then read-only. Directories are absolute paths. */
export interface Config extends ParsedConfig {
  /** `KANDEV_HOME`: everything the server keeps on disk lies below it. */
  readonly home: string;
  readonly workspaces_directory: string;
  readonly runs_directory: string;
  readonly artifacts_directory: string;
  /** Identity of this home; names the host that owns runs, and labels its containers. */
  readonly host_id: string;
  readonly jwt_secret: string;
  /** The environment the server was started with: for what it starts itself, and for `${NAME}` in agent types. */
  readonly host_environment: Readonly<Record<string, string | undefined>>;
}

/** A wrong setting. The message is one line that names the setting; `main` prints it and exits. */
export class ConfigError extends Error {}

const MIN_SECRET_LENGTH = 32; // 256 bits of a hex or base64 secret, the least RFC 7518 allows for HS256 keys
// Passable, not readable: a server run by root gives the database's files below to another account. What is private has 0700.
const HOME_MODE = 0o711;
/** Below the home, for the server's user alone. Made at start: whether the home can be used is known before anything runs. */
const PRIVATE = ['secrets', 'credentials', 'git'];
/** Roles in which people's tokens are made and checked. */
const SIGNED_IN_AT = new Set<string>(['all', 'api']);
const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost']);

/**
 * Reads the environment and the YAML file (`KANDEV_CONFIG`, else `config.yaml` in the home), environment first.
 * Creates `KANDEV_HOME` and, on first start, the host id and a signing secret in it.
 * @throws ConfigError when a value is wrong or missing, and when the home can't be written to.
 */
export function loadConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const home = resolve(env.KANDEV_HOME || join(homedir(), '.kandev'));
  const file = env.KANDEV_CONFIG ? resolve(env.KANDEV_CONFIG) : join(home, 'config.yaml');
  const parsed = parse(merge(readYaml(file, Boolean(env.KANDEV_CONFIG)), env));
  requireSharedDatabase(parsed);
  makeDirectory(home, HOME_MODE);
  for (const name of PRIVATE) makeDirectory(join(home, name), 0o700);
  return Object.freeze({
    ...parsed,
    home,
    workspaces_directory: resolve(parsed.docker.volume_base_path ?? join(home, 'workspaces')),
    runs_directory: join(home, 'runs'),
    artifacts_directory: join(home, 'artifacts'),
    host_id: keep(join(home, 'host-id'), () => crypto.randomUUID()),
    jwt_secret: jwtSecret(parsed, home),
    host_environment: { ...env },
  });
}

function readYaml(file: string, required: boolean): Record<string, unknown> {
  if (!existsSync(file)) {
    if (required) throw new ConfigError(`KANDEV_CONFIG: there is no file ${file}`);
    return {};
  }
  try {
    const value: unknown = parseYaml(readFileSync(file, 'utf8'));
    if (value === null || value === undefined) return {};
    if (typeof value === 'object' && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch (error) {
    throw new ConfigError(`${file}: not valid YAML: ${(error as Error).message.split('\n')[0]}`);
  }
  throw new ConfigError(`${file}: expected a mapping of sections, such as "server:"`);
}

function merge(yaml: Record<string, unknown>, env: NodeJS.ProcessEnv): Record<string, unknown> {
  const merged = structuredClone(yaml);
  for (const { name, section, key } of settings) {
    const value = env[name];
    if (value === undefined || value === '') continue;
    const target = (merged[section] ??= {}) as Record<string, unknown>;
    target[key] = value;
  }
  return merged;
}

function parse(input: Record<string, unknown>): ParsedConfig {
  const result = configSchema.safeParse(input);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const [section, key] = (issue?.path ?? []).map(String);
  const name = settings.find((s) => s.section === section && s.key === key)?.name;
  const where = [section, key].filter(Boolean).join('.');
  throw new ConfigError(`${name ? `${name} (config file: ${where})` : where || 'config file'}: ${issue?.message}`);
}

function jwtSecret(config: ParsedConfig, home: string): string {
  const given = config.auth.jwt_secret;
  const own = (): string => keep(join(home, 'secrets', 'jwt-secret'), () => randomBytes(32).toString('hex'));
  // Nobody signs in at such a process: it signs the keys of its own agents, and they speak to no other.
  if (!SIGNED_IN_AT.has(config.orchestrator.role)) return own();
  if (given !== undefined && given.length >= MIN_SECRET_LENGTH && !isDefaultSecret(given)) return given;
  if (!LOOPBACK.has(config.server.host)) {
    throw new ConfigError(
      `JWT_SECRET: must be a secret of your own of at least ${MIN_SECRET_LENGTH} characters when the server listens ` +
        `beyond loopback (SERVER_HOST=${config.server.host}); make one with: openssl rand -hex 32`,
    );
  }
  if (given !== undefined) {
    throw new ConfigError(
      `JWT_SECRET: too short or a known default; unset it here, or use ${MIN_SECRET_LENGTH}+ characters`,
    );
  }
  return own();
}

/** @throws ConfigError */
function requireSharedDatabase({ database, orchestrator: { role } }: ParsedConfig): void {
  if (role !== 'runner' || database.url || database.host) return;
  throw new ConfigError(
    'DATABASE_URL: KANDEV_ROLE=runner joins other processes, and needs the address of their database',
  );
}

function isDefaultSecret(secret: string): boolean {
  return /^(your-secret-key|change-?me|secret)/i.test(secret) || new Set(secret).size < 8;
}

function makeDirectory(directory: string, mode: number): void {
  try {
    mkdirSync(directory, { recursive: true, mode });
    accessSync(directory, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw notWritable(directory, error);
  }
}

function notWritable(path: string, error: unknown): ConfigError {
  const { code } = error as NodeJS.ErrnoException;
  return new ConfigError(
    `KANDEV_HOME: ${path} can't be written to (${code}); give it to the server's user, or name another directory`,
  );
}

/** The file's content; written first if it is not there. `wx` makes a race between two starts harmless. */
function keep(file: string, make: () => string): string {
  try {
    writeFileSync(file, `${make()}\n`, { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw notWritable(file, error);
  }
  return readFileSync(file, 'utf8').trim();
}
