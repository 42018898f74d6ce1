const cleaners = new Map<string, (line: string) => string>();

/**
 * From now on each line of the server's log passes `clean`: what an engine or a library says in an error may echo what
 * it was given. Once for each owner; the last one counts.
 */
export function hideInLogs(owner: string, clean: (line: string) => string): void {
  cleaners.set(owner, clean);
}

/** The owner's secrets are none any more, or nobody's here. */
export function forgetInLogs(owner: string): void {
  cleaners.delete(owner);
}

/** A line of the log as it may be written. */
export function withoutSecrets(line: string): string {
  let clean = line;
  for (const cleaner of cleaners.values()) clean = cleaner(clean);
  return clean;
}
