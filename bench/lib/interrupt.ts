/** What is to be done before this process may end, last come first. */
const cleanUps: (() => Promise<void>)[] = [];
let interrupted = false;

/** Registers something to undo, now or when a signal ends the run; returns the function that undoes it (once). */
export function cleanUpLater(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  const once = (): Promise<void> => (done ??= work());
  cleanUps.push(once);
  return once;
}

/** Whether a signal is ending the run: what fails from then on is no finding. */
export function isInterrupted(): boolean {
  return interrupted;
}

/** From now on Ctrl-C and SIGTERM undo what was registered and end the process with 130. */
export function onInterrupt(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (interrupted) return;
      interrupted = true;
      process.stderr.write('\nStopping, and removing what was started …\n');
      void cleanUpAll().finally(() => process.exit(130));
    });
  }
}

/** Undoes whatever is not undone yet. */
export async function cleanUpAll(): Promise<void> {
  for (const cleanUp of cleanUps.toReversed()) {
    await cleanUp().catch((error: unknown) => process.stderr.write(`${String(error)}\n`));
  }
}
