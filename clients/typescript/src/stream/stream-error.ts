/**
 * Why a stream has ended for good, or a request on it was not answered. Match on {@link code}, never on the text:
 * `stream.refused`, `stream.gap`, `stream.deleted`, `stream.frame_too_large`, `stream.closed`, `stream.disconnected`, `stream.timeout`,
 * or one of the server's, such as `auth.token_expired`. Answers of the server that are errors are `KandevError`s.
 */
export class StreamError extends Error {
  override readonly name = 'StreamError';

  constructor(
    readonly code: string,
    detail: string,
    options?: ErrorOptions,
  ) {
    super(`${code}: ${detail}`, options);
  }
}
