export type { AccessOptions } from './access.js';
export type { ReconnectOptions } from './back-off.js';
export type { SocketClass, SocketLike } from './connection.js';
export type { StreamState } from './live-stream.js';
export type { ControlReceipt, ControlRequest, MessageStream } from './message-stream.js';
export type {
  ErrorMessage,
  HeartbeatMessage,
  LogMessage,
  MessageFilter,
  ProgressMessage,
  ResultMessage,
  StatusMessage,
  StreamMessage,
  StreamReset,
} from './messages.js';
export type { Selection } from './selection-target.js';
export { StreamClient } from './stream-client.js';
export type {
  SelectionStreamOptions,
  StreamClientOptions,
  StreamHandlers,
  Subscription,
  TaskStreamOptions,
} from './stream-client.js';
export { StreamError } from './stream-error.js';
