import { cleanUpAll, isInterrupted, onInterrupt } from './interrupt.js';
import { say } from './progress.js';

/** One suite: its name on the command line, a line about it, and its run; resolves to whether all is as it should be. */
export interface Suite {
  name: string;
  about: string;
  help: string;
  run(args: string[]): Promise<boolean>;
}

/**
 * The program behind `npm run COMMAND -- SUITE [options]`: runs one suite, and undoes what it has started, also after
 * Ctrl-C. Exit code 0: all is well; 1: it is not; 2: there is no such suite.
 */
export async function runSuites(command: string, needs: string, suites: readonly Suite[]): Promise<void> {
  onInterrupt();
  try {
    process.exitCode = await runSuite(process.argv.slice(2), suites, helpOf(command, needs, suites));
  } catch (error) {
    if (!isInterrupted()) {
      process.stderr.write(`\n${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
      process.exitCode = 1;
    }
  } finally {
    if (!isInterrupted()) await cleanUpAll();
  }
}

async function runSuite([name, ...args]: string[], suites: readonly Suite[], help: string): Promise<number> {
  const suite = suites.find((candidate) => candidate.name === name);
  if (!suite || args.includes('--help')) {
    say(suite?.help ?? help);
    return suite || name === undefined || name === '--help' ? 0 : 2;
  }
  return (await suite.run(args)) ? 0 : 1;
}

function helpOf(command: string, needs: string, suites: readonly Suite[]): string {
  return `npm run ${command} -- SUITE [options]

${suites.map(({ name, about }) => `  ${name.padEnd(8)} ${about}`).join('\n')}

${needs} Options: npm run ${command} -- SUITE --help
`;
}
