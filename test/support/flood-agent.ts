/**
 * The program of an agent that writes `lines` messages as fast as it can, then waits to be stopped. `message` is the
 * expression of one: it may use its number `n`, from 1.
 */
export function floodAgent(lines: number, message: string): string {
  return `
let n = 0;
const next = () => { n++; return JSON.stringify(${message}) + '\\n'; };
const go = () => {
  while (n < ${lines}) if (!process.stdout.write(next())) {
    process.stdout.once('drain', go);
    return;
  }
};
go();
setInterval(() => undefined, 1_000);
process.on('SIGTERM', () => process.exit(0));
`;
}
