import { z } from 'zod';

const integer = (min: number, max: number) =>
  z.coerce
    .number({ message: 'must be a number' })
    .int('must be a whole number')
    .min(min, `must be at least ${min}`)
    .max(max, `must be at most ${max}`);
const flag = z.preprocess(
  (value) => (value === 'true' || value === '1' ? true : value === 'false' || value === '0' ? false : value),
  z.boolean({ message: 'must be true or false' }),
);
const text = z.string({ message: 'must be a text' }).min(1, 'must not be empty');
const names = z.preprocess(
  (value) =>
    typeof value === 'string'
      ? value
          .split(',')
          .map((name) => name.trim())
          .filter(Boolean)
      : value,
  z.array(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be names of environment variables, separated by commas')),
);

const origins = z.preprocess(
  (value) =>
    typeof value === 'string'
      ? value
          .split(',')
          .map((origin) => origin.trim())
          .filter(Boolean)
      : value,
  z.array(
    z
      .string()
      .refine((origin) => URL.parse(origin)?.origin === origin, 'must be origins such as https://kandev.example.com'),
    'must be origins separated by commas',
  ),
);

/** Shape of the config file; every key has a default, so an empty object is a valid configuration. */
export const configSchema = z.strictObject({
  server: z
    .strictObject({
      host: text.default('127.0.0.1'),
      port: integer(0, 65_535).default(8080),
    })
    .prefault({}),
  database: z
    .strictObject({
      /** Wins over the single fields. Without it and without `host` the server runs its own PostgreSQL. */
      url: text.regex(/^postgres(ql)?:\/\//, 'must start with postgres://').optional(),
      host: text.optional(),
      port: integer(1, 65_535).default(5432),
      user: text.default('kandev'),
      password: z.string().optional(),
      name: text.default('kandev'),
      ssl_mode: z
        .enum(['disable', 'require', 'verify-full'], 'must be disable, require or verify-full')
        .default('disable'),
      max_conns: integer(5, 1000).default(20),
    })
    .prefault({}),
  docker: z
    .strictObject({
      /** `unix:///path` or `tcp://host:port`; the local engine by default. */
      host: text
        .regex(/^(unix|tcp|http|https):\/\//, 'must start with unix://, tcp://, http:// or https://')
        .default('unix:///var/run/docker.sock'),
      api_version: z
        .string()
        .regex(/^1\.\d+$/, 'must look like 1.43')
        .optional(),
      volume_base_path: text.optional(),
    })
    .prefault({}),
  auth: z
    .strictObject({
      jwt_secret: z.string().optional(),
      /** Seconds that an access token is good for. */
      token_duration: integer(60, 31_536_000).default(86_400),
      /** Seconds that a refresh token is good for: 30 days. */
      refresh_token_duration: integer(60, 31_536_000).default(2_592_000),
      registration: z.enum(['open', 'closed'], 'must be open or closed').default('open'),
    })
    .prefault({}),
  http: z
    .strictObject({
      /** Origins of web pages that may use the API and the sockets, besides the server's own. */
      cors_origins: origins.default([]),
      /** How many proxies in front of the server are to be believed about the client's address. */
      trusted_proxies: integer(0, 10).default(0),
    })
    .prefault({}),
  rate_limit: z
    .strictObject({
      /** Where counters are: `postgres` where several server processes share the load. */
      storage: z.enum(['memory', 'postgres'], 'must be memory or postgres').default('memory'),
      /** Requests a minute of one user or key; 0 for no limit. 20 a second is more than any person or board needs. */
      per_minute: integer(0, 10_000_000).default(1200),
      /** Requests a minute of one address that is not signed in; 0 for no limit. */
      anonymous_per_minute: integer(0, 10_000_000).default(120),
      /** Sign-ins tried from one address in five minutes, and failed ones for one account; 0 for no limit. */
      sign_ins_per_address: integer(0, 10_000_000).default(50),
      failed_sign_ins_per_account: integer(0, 10_000_000).default(10),
    })
    .prefault({}),
  logging: z
    .strictObject({
      level: z
        .enum(
          ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
          'must be one of trace, debug, info, warn, error, fatal, silent',
        )
        .default('info'),
      /** `auto`: readable on a terminal, JSON elsewhere. */
      format: z.enum(['auto', 'json', 'text'], 'must be auto, json or text').default('auto'),
      output_path: text.default('stdout'),
    })
    .prefault({}),
  agent: z
    .strictObject({
      allow_process_runtime: flag.default(false),
      allow_local_repositories: flag.default(false),
      max_concurrent_runs: integer(1, 1000).default(4),
      /** Output of one attempt, stdout and stderr together, in bytes: 1 GiB. */
      max_output_bytes: integer(1024, 1_099_511_627_776).default(1_073_741_824),
      /** An agent that writes nothing for this long is ended: an hour; longer than any step of a known agent. */
      inactivity_timeout_seconds: integer(1, 604_800).default(3_600),
      clone_timeout_seconds: integer(1, 86_400).default(600),
      pull_timeout_seconds: integer(1, 86_400).default(1_800),
      /** How long a stopped agent may take to end by itself before it is killed. */
      stop_grace_seconds: integer(0, 3_600).default(10),
      /** Owner of the agents' processes; the server's own uid unless the server is root. */
      uid: integer(1, 4_294_967_294).optional(),
      /** Variables of the server's environment that `${NAME}` in an agent type may take. */
      env_allowlist: names.default([
        'GEMINI_API_KEY',
        'AUGMENT_SESSION_AUTH',
        'ANTHROPIC_API_KEY',
        'OPENAI_API_KEY',
        'GITHUB_TOKEN',
        'GITLAB_TOKEN',
      ]),
    })
    .prefault({}),
});

export type ParsedConfig = z.infer<typeof configSchema>;

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
