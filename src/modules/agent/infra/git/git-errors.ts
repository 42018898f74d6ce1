const TELLING = /^(fatal|error|remote|ssh|kex_|Permission denied|Host key|Connection|Received disconnect)/i;
const MAX_LENGTH = 1000;
const MIN_SECRET = 4; // shorter ones are in every text

/** What must not be seen by people: where our files lie, and what a user's credentials hold. */
export interface Hidden {
  directories: readonly string[];
  secrets: readonly string[];
}

/** What git says to people, in one line: without credentials that a server may echo, and without our paths. */
export function tellingLines(errors: string, { directories, secrets }: Hidden): string {
  let text = errors
    .split('\n')
    .filter((line) => TELLING.test(line))
    .slice(-5)
    .join(' ')
    .replaceAll(/:\/\/[^/@\s]+@/g, '://***@');
  for (const secret of secrets.filter(({ length }) => length >= MIN_SECRET)) {
    for (const form of new Set([secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64')]))
      if (form !== '') text = text.replaceAll(form, '***');
  }
  for (const directory of directories) text = text.replaceAll(below(directory), "the server's copy");
  return text
    .replaceAll(/[\x00-\x1f\x7f]/g, ' ') // what a server says is shown to people: no escape sequences
    .slice(0, MAX_LENGTH);
}

/** A directory of ours and the paths below it; others of this machine are what the user has asked for. */
function below(directory: string): RegExp {
  return new RegExp(`${directory.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')}(/[\\w./-]*)?`, 'g');
}
