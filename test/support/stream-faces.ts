import type { TestServer } from './server.js';
import { SseTestClient, type SseOptions } from './sse-client.js';
import { AcpTestClient, WsTestClient } from './stream-clients.js';
import type { TestUser } from './test-user.js';

/** Clients of all three faces, as one user where none is named; they are closed together. */
export class StreamFaces {
  private readonly closers: (() => void)[] = [];

  constructor(
    private readonly server: TestServer,
    private readonly user: Pick<TestUser, 'token'>,
  ) {}

  address(path: string): string {
    return `${this.server.url}/api/v1/orchestrator${path}`;
  }

  async sse(path: string, options: SseOptions = {}): Promise<SseTestClient> {
    const client = await SseTestClient.open(this.address(path), { token: this.user.token, ...options });
    this.closers.push(() => client.close());
    return client;
  }

  async webSocket(path: string, user = this.user): Promise<WsTestClient> {
    const headers = { authorization: `Bearer ${user.token}` };
    const client = await WsTestClient.open(this.address(path), { headers });
    this.closers.push(() => client.socket.terminate());
    return client;
  }

  async socketIo(user = this.user): Promise<AcpTestClient> {
    const client = await new AcpTestClient(this.server.url, user.token).connected();
    this.closers.push(() => client.socket.disconnect());
    return client;
  }

  close(): void {
    for (const close of this.closers.splice(0)) close();
  }
}
