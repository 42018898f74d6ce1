import { Logger } from '@nestjs/common';
import {
  Ack,
  ConnectedSocket,
  MessageBody,
  SubscribeMessage,
  WebSocketGateway,
  type OnGatewayConnection,
  type OnGatewayDisconnect,
  type OnGatewayInit,
} from '@nestjs/websockets';
import type { Namespace, ServerOptions, Socket } from 'socket.io';
import type { Principal } from '../../../common/auth/principal.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { toDomainError } from '../../../common/errors/problem.js';
import { StreamConnections } from '../app/stream-connections.js';
import { StreamControl } from '../app/stream-control.js';
import { Subscriptions } from '../app/subscriptions.js';
import type { StreamConnection } from '../app/stream-connection.js';
import { CONNECT_WITHIN_MS, EngineGuard } from './engine-guard.js';
import { SocketIoSink } from './socket-io.sink.js';
import { socketProblem } from './socket-problem.js';
import { controlSchema, parseRequest, subscribeSchema, unsubscribeSchema } from './stream-requests.js';
import { SocketAccess } from './ws-handshake-access.js';

/** What a socket carries: the token of its handshake, and its connection once it is open. */
interface SocketData {
  token: Principal;
  connection?: StreamConnection;
}
type AcpSocket = Socket<
  Record<string, never>,
  Record<string, (...args: unknown[]) => void>,
  Record<string, never>,
  SocketData
>;
type AckFunction = (answer: object) => void;

const OPTIONS: Partial<ServerOptions> = {
  maxHttpBufferSize: 65_536, // requests are lists of ids; 1,000 of them fit
  perMessageDeflate: false, // five times the CPU
  httpCompression: false,
  destroyUpgrade: false, // the plain WebSocket has its own paths on the same server
  serveClient: false,
  pingInterval: 15_000,
  pingTimeout: 20_000,
  connectTimeout: CONNECT_WITHIN_MS,
};

/** Socket.IO, namespace `/acp`: subscriptions and control with acknowledgements, messages in arrays. */
@WebSocketGateway({ namespace: '/acp', ...OPTIONS })
export class AcpGateway
  implements OnGatewayInit<Namespace>, OnGatewayConnection<AcpSocket>, OnGatewayDisconnect<AcpSocket>
{
  private readonly logger = new Logger(AcpGateway.name);
  private readonly guard: EngineGuard;

  constructor(
    private readonly access: SocketAccess,
    private readonly connections: StreamConnections,
    private readonly subscriptions: Subscriptions,
    private readonly controls: StreamControl,
  ) {
    this.guard = new EngineGuard(access);
  }

  afterInit(namespace: Namespace): void {
    this.guard.watch(namespace.server.engine);
    // Socket.IO opens '/' to everybody; nothing is there, so nobody may stay.
    namespace.server
      .of('/')
      .use((_, next) => next(refusal(new DomainError('not_found', 'stream.namespace', 'Use the namespace /acp.'))));
    namespace.use((socket, next) => void this.authenticate(socket as AcpSocket, next));
  }

  handleConnection(socket: AcpSocket): void {
    socket.data.connection = this.connections.add(new SocketIoSink(socket as Socket), socket.data.token);
  }

  handleDisconnect(socket: AcpSocket): void {
    socket.data.connection?.reader.dispose();
    socket.conn.close(); // there is nothing else here: nobody may stay without having shown who they are
  }

  /** `{task_ids?, board_ids?, after?, types?, min_level?}` → `{subscribed: [{task_id, head_seq}], denied: [id]}` or `{error}`. */
  @SubscribeMessage('subscribe')
  async subscribe(
    @ConnectedSocket() socket: AcpSocket,
    @MessageBody() body: unknown,
    @Ack() ack?: AckFunction,
  ): Promise<void> {
    await this.answer(socket, ack, async (connection) => {
      return this.subscriptions.subscribe(connection, parseRequest(subscribeSchema, body ?? {}));
    });
  }

  /** `{task_ids?, board_ids?}` → `{ok: true}` or `{error}`. */
  @SubscribeMessage('unsubscribe')
  async unsubscribe(
    @ConnectedSocket() socket: AcpSocket,
    @MessageBody() body: unknown,
    @Ack() ack?: AckFunction,
  ): Promise<void> {
    await this.answer(socket, ack, (connection) => {
      this.subscriptions.unsubscribe(connection, parseRequest(unsubscribeSchema, body ?? {}));
      return Promise.resolve({ ok: true });
    });
  }

  /** `{task_id, action, reason?, force?, data?}` → `{ok: true, run}` or `{error}`. */
  @SubscribeMessage('control')
  async control(
    @ConnectedSocket() socket: AcpSocket,
    @MessageBody() body: unknown,
    @Ack() ack?: AckFunction,
  ): Promise<void> {
    await this.answer(socket, ack, async ({ actor }) => {
      return { ok: true, run: await this.controls.control(actor, parseRequest(controlSchema, body)) };
    });
  }

  private async authenticate(socket: AcpSocket, next: (refused?: Error) => void): Promise<void> {
    this.guard.tried(socket.conn);
    try {
      const { token, ticket } = socket.handshake.auth;
      const shown = { token: textOf(token), ticket: textOf(ticket) };
      socket.data.token = await this.access.admit(socket.request, shown, socket.conn);
    } catch (error) {
      next(refusal(error));
      setImmediate(() => socket.conn.close()); // once it has been told; one knock a connection
      return;
    }
    this.guard.settled(socket.conn);
    next();
  }

  /** Answers through the acknowledgement; errors of clients that asked for none become an `error` event. */
  private async answer(
    socket: AcpSocket,
    ack: AckFunction | undefined,
    handle: (connection: StreamConnection) => Promise<object>,
  ): Promise<void> {
    const { connection } = socket.data;
    if (!connection) return;
    try {
      const answer = await connection.requests.ask(async () => handle(connection));
      ack?.(answer);
    } catch (error) {
      const problem = socketProblem(error, '/acp', this.logger);
      if (ack) ack({ error: problem });
      else socket.emit('error', { code: problem.code, detail: problem.detail });
    }
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** What `connect_error` shows: `message`, and `data: {code, retry_after_seconds?}`. */
function refusal(error: unknown): Error {
  const { message, code, details } = toDomainError(error);
  const retry_after_seconds = details['retry_after_seconds'];
  return Object.assign(new Error(message), { data: { code, retry_after_seconds } });
}
