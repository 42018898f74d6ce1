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

const USAGE = `Runs an image against the container contract and prints what holds.

  npm run agent-check -- IMAGE [options] [-- COMMAND...]

  --protocol NAME   json-lines, or agent-client-protocol (what the image's label says, else json-lines)
  --env NAME=VALUE  a variable for the agent; may be repeated
  --memory SIZE     such as 512m (1g)
  --seconds N       how long it may take to finish (60)
  --json            the rows as JSON
  --help            this text

The image runs twice, confined as every agent is: once to its end, once to stop it. Needs a Docker engine (DOCKER_HOST)
and no server. Ends with 1 where something fails, with 2 where nothing could be checked.
`;

class UsageError extends Error {}

const options = {
  protocol: { type: 'string' },
  env: { type: 'string', multiple: true },
  memory: { type: 'string' },
  seconds: { type: 'string' },
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
    const app = await NestFactory.createApplicationContext(AgentCheckModule.with(config), { logger: ['error'] });
    const target = {
      ...{ image_name, command: command.length > 0 ? command : null, protocol: protocolOf(values.protocol) },
      environment: Object.fromEntries((values.env ?? []).map(pair)),
      limits: { memory_limit: values.memory ?? '1g' },
      patience_seconds: secondsOf(values.seconds ?? '60'),
    };
    const report = (text: string): void => void process.stderr.write(`… ${text}\n`);
    const rows = await app.get(ImageCheck).check(target, report, stop.signal);
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

function secondsOf(text: string): number {
  const seconds = Number(text);
  if (Number.isInteger(seconds) && seconds > 0 && seconds <= 3600) return seconds;
  throw new UsageError('--seconds is a whole number from 1 to 3600');
}

main().then(
  (code) => (process.exitCode = code),
  (error: unknown) => {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exitCode = 2;
  },
);
