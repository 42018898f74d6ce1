import 'reflect-metadata';
import { chmodSync, mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { NestFactory } from '@nestjs/core';
import { loadConfig } from './common/config/config.js';
import { AgentCheckModule } from './modules/agent/agent-check.module.js';
import { ImageCheck } from './modules/agent/app/image-check/image-check.js';
import { checkTable } from './modules/agent/app/image-check/check-table.js';
import type { Protocol } from './modules/agent/contracts/agent.types.js';
import { SessionTrialsModule } from './modules/session/session-trials.module.js';

const USAGE = `Runs an image against the container contract and prints what holds.

  npm run agent-check -- IMAGE [options] [-- COMMAND...]

  --protocol NAME   json-lines, or agent-client-protocol (what the image's label says, else json-lines)
  --env NAME=VALUE  a variable for the agent; may be repeated
  --memory SIZE     such as 512m (1g)
  --seconds N       how long it may take to finish, or to say all that is asked of it (60)
  --network NAME    none, or open: the engine's own network, for agents that need their model (none)
  --json            the rows as JSON
  --help            this text

Of an agent that speaks the Agent Client Protocol:

  --prompt TEXT     a turn with this prompt, a permission request if it makes one, and another turn that is cancelled
  --answer NAME     what permission requests are answered: deny, or allow (deny)
  --auth-method ID  the way to authenticate before a session is opened
  --load-age N      how old a session has to be before it is loaded, in seconds (0)

The image runs twice, confined as every agent is: once to its end, once to stop it. An agent that speaks the Agent Client
Protocol is asked for what it can and for a session, and in the second container to load that one from the same home. Needs a Docker engine (DOCKER_HOST)
and no server. Ends with 1 where something fails, with 2 where nothing could be checked.
`;

class UsageError extends Error {}

const options = {
  protocol: { type: 'string' },
  env: { type: 'string', multiple: true },
  memory: { type: 'string' },
  seconds: { type: 'string' },
  network: { type: 'string', default: 'none' },
  prompt: { type: 'string' },
  answer: { type: 'string', default: 'deny' },
  'auth-method': { type: 'string' },
  'load-age': { type: 'string', default: '0' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const [image_name, ...command] = positionals;
  if (values.help || image_name === undefined) {
    (values.help ? process.stdout : process.stderr).write(USAGE);
    return values.help ? 0 : 2;
  }
  const home = mkdtempSync(join(tmpdir(), 'kandev-check-'));
  chmodSync(home, 0o711); // the agent's user passes through it
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort(new Error('interrupted')));
  try {
    const config = loadConfig({ ...process.env, KANDEV_HOME: home });
    const app = await NestFactory.createApplicationContext(AgentCheckModule.with(config, SessionTrialsModule), {
      logger: ['error'],
    });
    const target = {
      ...{ image_name, command: command.length > 0 ? command : null, protocol: protocolOf(values.protocol) },
      environment: Object.fromEntries((values.env ?? []).map(pair)),
      limits: { memory_limit: values.memory ?? '1g' },
      patience_seconds: secondsOf('--seconds', values.seconds ?? '60', 1),
      network: oneOf('--network', values.network, ['none', 'open']),
      session: {
        quirks: {
          auth_method: values['auth-method'] ?? null,
          load_min_age_seconds: secondsOf('--load-age', values['load-age'], 0),
        },
        prompt: values.prompt ?? null,
        answer: oneOf('--answer', values.answer, ['deny', 'allow']),
      },
    };
    const report = (text: string): void => void process.stderr.write(`… ${text}\n`);
    const { checks: rows } = await app.get(ImageCheck).check(target, report, stop.signal);
    await app.close();
    process.stdout.write(values.json ? `${JSON.stringify(rows, null, 2)}\n` : checkTable(image_name, rows));
    return rows.some(({ outcome }) => outcome === 'fail') ? 1 : 0;
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}

function protocolOf(name: string | undefined): Protocol | null {
  if (name === undefined || name === 'json-lines' || name === 'agent-client-protocol') return name ?? null;
  throw new UsageError('--protocol is json-lines or agent-client-protocol');
}

function pair(text: string): [string, string] {
  const at = text.indexOf('=');
  if (at < 1) throw new UsageError('--env wants NAME=VALUE');
  return [text.slice(0, at), text.slice(at + 1)];
}

function oneOf<T extends string>(option: string, value: string, choices: readonly T[]): T {
  const chosen = choices.find((choice) => choice === value);
  if (chosen === undefined) throw new UsageError(`${option} is ${choices.join(' or ')}`);
  return chosen;
}

function secondsOf(option: string, text: string, least: number): number {
  const seconds = Number(text);
  if (/^\d+$/.test(text) && seconds >= least && seconds <= 3600) return seconds;
  throw new UsageError(`${option} is a whole number from ${least} to 3600`);
}

main().then(
  (code) => (process.exitCode = code),
  (error: unknown) => {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exitCode = 2;
  },
);
