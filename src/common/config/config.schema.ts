import { z } from 'zod';
import { HOST_LABEL } from '../validation/host-label.js';

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

const ranges = z.preprocess(
  (value) =>
    typeof value === 'string'
      ? value
          .split(',')
          .map((range) => range.trim())
          .filter(Boolean)
      : value,
  z.array(z.union([z.cidrv4(), z.cidrv6()], 'must be ranges of addresses such as 10.1.0.0/16, separated by commas')),
);

const labels = z.preprocess(
  (value) =>
    typeof value === 'string'
      ? value
          .split(',')
          .map((label) => label.trim())
          .filter(Boolean)
      : value,
  z.array(z.string().regex(HOST_LABEL, 'must be labels such as gpu or zone=eu, separated by commas')),
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
      /** How long an agent may run, pauses not counted: a day; longer than any task that still makes progress. */
      wall_clock_timeout_seconds: integer(1, 31_536_000).default(86_400),
      /** How long an agent waits for a person's answer to a permission request before it is denied: an hour. */
      permission_timeout_seconds: integer(1, 31_536_000).default(3_600),
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
  orchestrator: z
    .strictObject({
      /** What this process does: serve clients, look after the queue, run agents on this host's engine; or all of it. */
      role: z.enum(['all', 'api', 'orchestrator', 'runner'], 'must be all, api, orchestrator or runner').default('all'),
      /** How this host is called in lists; its host name by default. */
      host_name: text.max(255, 'must be at most 255 characters').optional(),
      /** What agent types may ask of a host: `gpu,zone=eu`. */
      host_labels: labels.default([]),
      /** Memory that agents here may be given together, by their limits; 0: all that the host has. */
      host_memory_bytes: integer(0, 1_125_899_906_842_624).default(0),
      /** Cores that agents here may be given together; 0: four for each that the host has, as agents mostly wait. */
      host_cpus: integer(0, 100_000).default(0),
      /** A host that is silent for this long is taken for dead, and what ran there is tried elsewhere. */
      host_lost_seconds: integer(30, 86_400).default(60),
      /** Attempts of a run in all, where neither its task nor its agent type says: two more outlast most hiccups. */
      retry_max_attempts: integer(1, 100).default(3),
      /** How long the second attempt waits, in seconds; each later one twice as long, up to the maximum. */
      retry_backoff_seconds: integer(1, 86_400).default(10),
      retry_max_backoff_seconds: integer(1, 604_800).default(600),
    })
    .prefault({}),
  network: z
    .strictObject({
      /** Ranges that are not public and that agents and clones may reach all the same: `10.1.0.0/16`, `127.0.0.1/32`. */
      allowed_private_ranges: ranges.default([]),
    })
    .prefault({}),
  credentials: z
    .strictObject({
      /** Whether the server's own home gives agents and clones credentials while there is one user only. */
      host: z.enum(['single-user', 'never'], 'must be single-user or never').default('single-user'),
    })
    .prefault({}),
  workspace: z
    .strictObject({
      /** Commits of history that a workspace has; 0 for all of it. */
      clone_depth: integer(0, 1_000_000).default(0),
      /** A repository that takes more on disk is refused: 10 GiB. */
      max_repository_bytes: integer(1_048_576, 1_099_511_627_776).default(10_737_418_240),
      /** Days after its last use that a workspace is kept before what is only there is rescued and it goes; 0 for ever. */
      retention_days: integer(0, 36_500).default(30),
      /** What workspaces may take together before the longest unused go; 0 for no limit. */
      budget_bytes: integer(0, 1_125_899_906_842_624).default(0),
      /** How `disk_limit` is held: by a file system of its own, by measuring, or by what this host can do. */
      disk_limit_method: z
        .enum(['auto', 'filesystem', 'measured'], 'must be auto, filesystem or measured')
        .default('auto'),
      /** Free bytes below which no run is dispatched: 2 GiB, room for the database and for those that run. */
      min_free_bytes: integer(0, 1_125_899_906_842_624).default(2_147_483_648),
    })
    .prefault({}),
  stream: z
    .strictObject({
      /** Days that messages are kept; 0 for ever. 90, as build logs are elsewhere. */
      retention_days: integer(0, 36_500).default(90),
      /** What the messages of all tasks may take in the database before the oldest go; 0 for no limit. */
      retention_bytes: integer(0, 1_125_899_906_842_624).default(0),
      /** Sockets and event streams that one user may have open: some tabs on some machines, and scripts. */
      connections_per_user: integer(1, 1_000_000).default(100),
      /** Tasks and boards that one user's connections may name together. */
      subscriptions_per_user: integer(1, 10_000_000).default(50_000),
    })
    .prefault({}),
  artifact: z
    .strictObject({
      /** Of one file: 100 MiB; larger results belong into the repository or elsewhere. */
      max_bytes: integer(1, 1_099_511_627_776).default(104_857_600),
      /** Of all files of one attempt: 1 GiB. */
      max_total_bytes: integer(1, 1_099_511_627_776).default(1_073_741_824),
    })
    .prefault({}),
});

export type ParsedConfig = z.infer<typeof configSchema>;
