const SHORTAGES = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS', 'EAGAIN']);

/** The system has no more of something at this moment, such as file descriptors: it says nothing of what was asked for. */
export function isShortage(error: unknown): boolean {
  return error instanceof Error && SHORTAGES.has(String((error as NodeJS.ErrnoException).code));
}
