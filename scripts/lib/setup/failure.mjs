/** A set-up step that can't go on. The message tells the user what to do; no stack is of use. */
export class SetupFailure extends Error {}

/**
 * Runs a script's main function; a SetupFailure ends the process with 1 and its plain message.
 *
 * @param {() => Promise<unknown>} main
 */
export async function runMain(main) {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof SetupFailure)) throw error;
    process.stderr.write(`\n${error.message}\n`);
    process.exitCode = 1;
  }
}
