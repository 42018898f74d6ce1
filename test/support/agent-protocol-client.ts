import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Readable, Writable } from 'node:stream';
import {
  client,
  methods,
  ndJsonStream,
  type ClientContext,
  type InitializeResponse,
  type RequestPermissionRequest,
  type RequestPermissionResponse,
  type SessionNotification,
} from '@agentclientprotocol/sdk';
import { until } from './until.js';

/** Answers a permission request; the default is the first option that allows once. */
export type Answerer = (
  request: RequestPermissionRequest,
) => RequestPermissionResponse | Promise<RequestPermissionResponse>;

/** A program that speaks the Agent Client Protocol, and the official SDK's client at the other end of its pipes. */
export class AgentProtocolClient {
  readonly updates: SessionNotification[] = [];
  readonly asked: RequestPermissionRequest[] = [];
  stderr = '';
  answer: Answerer = ({ options }) => ({
    outcome: { outcome: 'selected', optionId: options.find(({ kind }) => kind === 'allow_once')?.optionId ?? '' },
  });
  readonly agent: ClientContext;
  private readonly child: ChildProcess;

  constructor([program = '', ...args]: string[], options: { env?: Record<string, string>; cwd?: string } = {}) {
    this.child = spawn(program, args, { stdio: 'pipe', ...options, env: { ...process.env, ...options.env } });
    const { stdin, stdout, stderr } = this.child;
    if (!stdin || !stdout || !stderr) throw new Error('it has no pipes');
    stdin.on('error', () => undefined); // it has ended
    stderr.on('data', (text) => (this.stderr += String(text)));
    const readable = Readable.toWeb(stdout) as ReadableStream<Uint8Array>;
    this.agent = client({ name: 'kandev-test' })
      .onNotification(methods.client.session.update, ({ params }) => void this.updates.push(params))
      .onRequest(methods.client.session.requestPermission, ({ params }) => {
        this.asked.push(params);
        return this.answer(params);
      })
      .connect(ndJsonStream(Writable.toWeb(stdin), readable)).agent;
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  initialize(): Promise<InitializeResponse> {
    return this.agent.request(methods.agent.initialize, { protocolVersion: 1, clientCapabilities: {} });
  }

  /** Initializes and opens a session; its id. */
  async open(cwd: string): Promise<string> {
    await this.initialize();
    return (await this.agent.request(methods.agent.session.new, { cwd, mcpServers: [] })).sessionId;
  }

  prompt(sessionId: string, text: string): Promise<{ stopReason: string }> {
    return this.agent.request(methods.agent.session.prompt, { sessionId, prompt: [{ type: 'text', text }] });
  }

  /** All that it has said, of one kind. */
  text(kind = 'agent_message_chunk'): string {
    return this.updates
      .map(({ update }) => ('content' in update && update.sessionUpdate === kind ? update.content : null))
      .map((content) => (content && 'text' in content ? content.text : ''))
      .join('');
  }

  kinds(): string[] {
    return this.updates.map(({ update }) => update.sessionUpdate);
  }

  /** Its exit code, or the signal. */
  async ended(): Promise<number | string | null> {
    await until('the agent to end', () => this.child.exitCode !== null || this.child.signalCode !== null);
    return this.child.exitCode ?? this.child.signalCode;
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  async close(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await gone;
  }
}
