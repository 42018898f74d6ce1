import { cleanUpAll, isInterrupted, onInterrupt } from '../../bench/lib/interrupt.js';
import { say } from '../../bench/lib/progress.js';
import { runStream, STREAM_HELP } from './stream/suite.js';

/** One suite: its name on the command line, a line about it, and its run; resolves to whether nothing was damaged. */
const SUITES = [
  { name: 'stream', about: 'every line once and in order, whatever dies', help: STREAM_HELP, run: runStream },
];

const HELP = `npm run faults -- SUITE [options]

${SUITES.map(({ name, about }) => `  ${name.padEnd(8)} ${about}`).join('\n')}

Each suite works in a temporary directory, with PostgreSQL and servers of its own. Options: npm run faults -- SUITE --help
`;

async function main([name, ...args]: string[]): Promise<number> {
  const suite = SUITES.find((candidate) => candidate.name === name);
  if (!suite || args.includes('--help')) {
    say(suite?.help ?? HELP);
    return suite || name === undefined || name === '--help' ? 0 : 2;
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
