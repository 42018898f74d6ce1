import type { ParsedConfig } from './config.schema.js';

type Setting = {
  [S in keyof ParsedConfig]: { name: string; section: S; key: keyof ParsedConfig[S]; help: string };
}[keyof ParsedConfig];

/** Every environment variable the server reads, and the key of the config file it overrides. */
export const settings: readonly Setting[] = [
  { name: 'SERVER_HOST', section: 'server', key: 'host', help: 'address to listen on (127.0.0.1)' },
  { name: 'SERVER_PORT', section: 'server', key: 'port', help: 'port to listen on, 0 for any free one (8080)' },
  { name: 'DATABASE_URL', section: 'database', key: 'url', help: 'your own PostgreSQL; else an embedded one is run' },
  { name: 'DB_HOST', section: 'database', key: 'host', help: 'the same in parts' },
  { name: 'DB_PORT', section: 'database', key: 'port', help: '(5432)' },
  { name: 'DB_USER', section: 'database', key: 'user', help: '(kandev)' },
  { name: 'DB_PASSWORD', section: 'database', key: 'password', help: '' },
  { name: 'DB_NAME', section: 'database', key: 'name', help: '(kandev)' },
  { name: 'DB_SSL_MODE', section: 'database', key: 'ssl_mode', help: 'disable, require or verify-full (disable)' },
  { name: 'DB_MAX_CONNS', section: 'database', key: 'max_conns', help: 'connections of this server (20)' },
  { name: 'DOCKER_HOST', section: 'docker', key: 'host', help: 'the engine (unix:///var/run/docker.sock)' },
  { name: 'DOCKER_API_VERSION', section: 'docker', key: 'api_version', help: 'pin the engine API, such as 1.43' },
  {
    name: 'DOCKER_VOLUME_BASE_PATH',
    section: 'docker',
    key: 'volume_base_path',
    help: 'workspaces (KANDEV_HOME/workspaces)',
  },
  {
    name: 'JWT_SECRET',
    section: 'auth',
    key: 'jwt_secret',
    help: 'signs access tokens; made and kept when on loopback',
  },
  {
    name: 'TOKEN_DURATION',
    section: 'auth',
    key: 'token_duration',
    help: 'seconds an access token is good for (86400)',
  },
  {
    name: 'REFRESH_TOKEN_DURATION',
    section: 'auth',
    key: 'refresh_token_duration',
    help: 'seconds a refresh token is good for (2592000)',
  },
  { name: 'AUTH_REGISTRATION', section: 'auth', key: 'registration', help: 'open or closed (open)' },
  { name: 'CORS_ORIGINS', section: 'http', key: 'cors_origins', help: 'origins of pages that may use the API (none)' },
  {
    name: 'TRUSTED_PROXIES',
    section: 'http',
    key: 'trusted_proxies',
    help: 'proxies in front of the server, for the address of clients (0)',
  },
  { name: 'RATE_LIMIT_STORAGE', section: 'rate_limit', key: 'storage', help: 'memory or postgres (memory)' },
  {
    name: 'RATE_LIMIT_PER_MINUTE',
    section: 'rate_limit',
    key: 'per_minute',
    help: 'requests of a user or key, 0 for no limit (1200)',
  },
  {
    name: 'RATE_LIMIT_ANONYMOUS_PER_MINUTE',
    section: 'rate_limit',
    key: 'anonymous_per_minute',
    help: 'requests of an address without a sign-in (120)',
  },
  {
    name: 'RATE_LIMIT_SIGN_INS_PER_ADDRESS',
    section: 'rate_limit',
    key: 'sign_ins_per_address',
    help: 'sign-ins of an address in 5 minutes (50)',
  },
  {
    name: 'RATE_LIMIT_FAILED_SIGN_INS_PER_ACCOUNT',
    section: 'rate_limit',
    key: 'failed_sign_ins_per_account',
    help: 'failed sign-ins of an account in 5 minutes (10)',
  },
  { name: 'LOG_LEVEL', section: 'logging', key: 'level', help: 'trace to fatal, or silent (info)' },
  { name: 'LOG_FORMAT', section: 'logging', key: 'format', help: 'auto, json or text (auto)' },
  { name: 'LOG_OUTPUT_PATH', section: 'logging', key: 'output_path', help: 'stdout, stderr or a file (stdout)' },
  {
    name: 'KANDEV_MAX_CONCURRENT_RUNS',
    section: 'agent',
    key: 'max_concurrent_runs',
    help: 'agents at once on this server (4)',
  },
  {
    name: 'KANDEV_ALLOW_PROCESS_RUNTIME',
    section: 'agent',
    key: 'allow_process_runtime',
    help: 'run agent types without a container (false)',
  },
  {
    name: 'KANDEV_ALLOW_LOCAL_REPOSITORIES',
    section: 'agent',
    key: 'allow_local_repositories',
    help: 'clone from paths of this machine (false)',
  },
  {
    name: 'KANDEV_MAX_OUTPUT_BYTES',
    section: 'agent',
    key: 'max_output_bytes',
    help: 'output of one attempt (1073741824)',
  },
  {
    name: 'KANDEV_INACTIVITY_TIMEOUT_SECONDS',
    section: 'agent',
    key: 'inactivity_timeout_seconds',
    help: 'silence after which an agent is ended (3600)',
  },
  { name: 'KANDEV_CLONE_TIMEOUT_SECONDS', section: 'agent', key: 'clone_timeout_seconds', help: '(600)' },
  { name: 'KANDEV_PULL_TIMEOUT_SECONDS', section: 'agent', key: 'pull_timeout_seconds', help: '(1800)' },
  { name: 'KANDEV_STOP_GRACE_SECONDS', section: 'agent', key: 'stop_grace_seconds', help: '(10)' },
  { name: 'KANDEV_AGENT_UID', section: 'agent', key: 'uid', help: 'uid of the agents (your own; 10001 when root)' },
  {
    name: 'KANDEV_ENV_ALLOWLIST',
    section: 'agent',
    key: 'env_allowlist',
    help: 'variables that ${NAME} in an agent type may take',
  },
];
