const started = performance.now();

/** A line on stdout. */
export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** A line of progress with the time since the start, on stderr: stdout keeps to results. */
export function step(text: string): void {
  const seconds = (performance.now() - started) / 1000;
  const clock = `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;
  process.stderr.write(`[${clock.padStart(5)}] ${text}\n`);
}
