import { CLONES_HELP, runClones } from './clones/suite.js';
import { LAUNCH_HELP, runLaunch } from './launch/suite.js';
import { cleanUpAll, isInterrupted, onInterrupt } from './lib/interrupt.js';
import { say } from './lib/progress.js';
import { REST_HELP, runRest } from './rest/suite.js';
import { runStream, STREAM_HELP } from './stream/suite.js';

/** One suite: its name on the command line, a line about it, and its run; resolves to whether every aim was met. */
const SUITES = [
  { name: 'rest', about: 'the REST API against raw SQL, large boards, and a soak', help: REST_HELP, run: runRest },
  {
    name: 'clones',
    about: "a task's workspace, with and without a copy of the repository",
    help: CLONES_HELP,
    run: runClones,
  },
  { name: 'launch', about: 'a confined agent against a plain container', help: LAUNCH_HELP, run: runLaunch },
  {
    name: 'stream',
    about: 'what agents say: storing it, its way to clients, many clients, slow ones',
    help: STREAM_HELP,
    run: runStream,
  },
];

const HELP = `npm run bench -- SUITE [options]

${SUITES.map(({ name, about }) => `  ${name.padEnd(8)} ${about}`).join('\n')}

Each suite works in a temporary directory, with a PostgreSQL and a server of its own where it needs them. Options: npm run bench -- SUITE --help
`;

async function main([name, ...args]: string[]): Promise<number> {
  const suite = SUITES.find((candidate) => candidate.name === name);
  if (!suite) {
    say(HELP);
    return name === undefined || name === '--help' ? 0 : 2;
  }
  if (args.includes('--help')) {
    say(suite.help);
    return 0;
  }
  return (await suite.run(args)) ? 0 : 1;
}

onInterrupt();
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!isInterrupted()) {
    process.stderr.write(`\n${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exitCode = 1;
  }
} finally {
  if (!isInterrupted()) await cleanUpAll();
}
