// Builds, checks and releases the images of the shipped agents, with the `docker` command.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { buildAgentFromHost, shippedAgents } from './lib/image/agents.mjs';
import { buildTestAgentImage, TEST_AGENT_IMAGE } from './lib/image/test-agent.mjs';

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const AGENTS = join(ROOT, 'agents');
const BASE = 'kandev/agent-base:latest';

const USAGE = `Images of the shipped agents and their versions.

  node scripts/agent-image.mjs list
  node scripts/agent-image.mjs build NAME [--channel release|dev|nightly | --from-host]
  node scripts/agent-image.mjs check NAME [--tag TAG]
  node scripts/agent-image.mjs release NAME [--push]

  build     builds the image: v<newest version in agents/NAME/CHANGELOG.md> (release, the default), dev, or nightly-<date>
            and nightly. Never touches latest. --from-host makes the tag host, of this machine's programs instead of
            an image registry's base: for tests, and where there is no registry.
  check     runs the image against the container contract (npm run agent-check)
  release   checks v<version>, and only if everything holds makes it latest too; --push sends both to the registry of
            the image's name.

Then administrators set the new tag: PUT /api/v1/agent-types/{id} {"docker_tag": "v1.1.0"}. The agent type keeps its
earlier versions, and going back is the same call.
`;

class UsageError extends Error {}

/** @param {string | undefined} name */
function agent(name) {
  const all = shippedAgents(ROOT);
  const row = all.find((one) => one.name === name);
  if (!row) throw new UsageError(`Which agent? One of: ${all.map((one) => one.name).join(', ')}`);
  const directory = join(AGENTS, row.name);
  const [, version] = /^## (\d+\.\d+\.\d+)$/m.exec(readFileSync(join(directory, 'CHANGELOG.md'), 'utf8')) ?? [];
  if (!version) throw new UsageError(`agents/${name}/CHANGELOG.md has no heading like "## 1.2.3"`);
  return { name: row.name, directory, version, repository: row.repository };
}

/** @param {string[]} args */
function docker(args) {
  execFileSync('docker', args, { stdio: 'inherit' });
}

async function build({ directory, repository, version, name }, channel, isFromHost) {
  const today = new Date().toISOString().slice(0, 10).replaceAll('-', '');
  const tags = { release: [`v${version}`], dev: ['dev'], nightly: [`nightly-${today}`, 'nightly'] }[channel];
  if (!tags) throw new UsageError('--channel is release, dev or nightly');
  const label = channel === 'release' ? version : `${version}-${tags[0]}`;
  const names = tags.map((tag) => `${repository}:${tag}`);
  if (isFromHost) {
    const image = { projectRoot: ROOT, name, tag: `${repository}:host`, version: `${version}-host` };
    await buildAgentFromHost({ ...image, log: (line) => console.log(line) });
    return;
  }
  docker(['build', '--tag', BASE, join(AGENTS, 'base')]);
  docker([
    'build',
    '--build-arg',
    `BASE=${BASE}`,
    '--build-arg',
    `VERSION=${label}`,
    ...names.flatMap((full) => ['--tag', full]),
    directory,
  ]);
  console.log(`Built ${name}: ${names.join(', ')}`);
}

function check(image) {
  execFileSync(process.execPath, [join(ROOT, 'scripts/agent-check.mjs'), image], { stdio: 'inherit' });
}

function release({ repository, version }, push) {
  const image = `${repository}:v${version}`;
  check(image);
  docker(['tag', image, `${repository}:latest`]);
  if (push) for (const full of [image, `${repository}:latest`]) docker(['push', full]);
  console.log(`${repository}:latest is v${version} now.`);
}

function list() {
  for (const { name } of shippedAgents(ROOT)) {
    const { version, repository } = agent(name);
    console.log(`${name.padEnd(16)} ${`v${version}`.padEnd(10)} ${repository}`);
  }
}

async function main() {
  const options = {
    channel: { type: 'string' },
    tag: { type: 'string' },
    push: { type: 'boolean' },
    'from-host': { type: 'boolean' },
  };
  const help = { type: 'boolean', short: 'h' };
  const { values, positionals } = parseArgs({ options: { ...options, help }, allowPositionals: true });
  const [command, name] = positionals;
  if (values.help || !command) return void process.stdout.write(USAGE);
  if (command === 'list') return list();
  if (command === 'build' && name === 'test-agent') {
    await buildTestAgentImage(ROOT);
    return console.log(`Built ${TEST_AGENT_IMAGE}`);
  }
  if (command === 'build') return build(agent(name), values.channel ?? 'release', values['from-host']);
  if (command === 'release') return release(agent(name), values.push);
  if (command !== 'check') throw new UsageError(`There is no command ${command}; --help lists them`);
  const { repository, version } = agent(name);
  check(`${repository}:${values.tag ?? `v${version}`}`);
}

try {
  await main();
} catch (error) {
  if (!(error instanceof UsageError) && error.status === undefined) throw error;
  if (error instanceof UsageError) console.error(error.message);
  process.exitCode = 1;
}
