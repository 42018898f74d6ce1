/** Calls that only look or send a signal. */
export const QUICK_SECONDS = 30;
/** Calls that make, start or remove: an engine under load takes its time. */
export const SLOW_SECONDS = 180;

/**
 * The answer, or an error of the kind "the engine does not answer". The client library waits for ever when a
 * connection dies after the first bytes of an answer.
 */
export async function within<T>(seconds: number, answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const error = Object.assign(new Error(`no answer within ${seconds} s`), { code: 'ETIMEDOUT' });
    timer = setTimeout(() => reject(error), seconds * 1000);
  });
  answer.catch(() => undefined); // when it comes too late, nobody asks any more
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
