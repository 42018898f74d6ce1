import { AsyncLocalStorage } from 'node:async_hooks';

/** What is known of the request under way, for the audit log: who it really came from, and how to find it in the log. */
export interface RequestContext {
  correlation_id: string;
  /** The client's address. */
  address: string;
}

const storage = new AsyncLocalStorage<RequestContext>();

/** Runs `work`, and whatever it starts, as part of the request. */
export function inRequest<T>(context: RequestContext, work: () => T): T {
  return storage.run(context, work);
}

/** The request under way; undefined in background work. */
export function currentRequest(): RequestContext | undefined {
  return storage.getStore();
}
