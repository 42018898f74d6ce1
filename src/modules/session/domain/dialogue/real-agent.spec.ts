import {
  agent as newAgent,
  methods,
  ndJsonStream,
  type AgentContext,
  type RequestPermissionResponse,
} from '@agentclientprotocol/sdk';
import { afterEach, describe, expect, it } from 'vitest';
import { OPENING } from '../../../../../test/support/dialogue-driver.js';
import type { DialogueEvent, DialogueOpening, OpenedSession, SessionPhase } from '../../contracts/dialogue.types.js';
import { step, type Step } from './dialogue.js';
import { newDialogue, type DialogueState } from './state.js';

const closers: (() => void)[] = [];
afterEach(() => closers.splice(0).forEach((close) => close()));

/** An agent of the official SDK, with a stream of bytes to and from it. It keeps its sessions from one to the next. */
class Agent {
  private readonly inward = new TransformStream<Uint8Array, Uint8Array>();
  private readonly outward = new TransformStream<Uint8Array, Uint8Array>();
  private readonly writer = this.inward.writable.getWriter();
  private state: DialogueState = newDialogue();
  private readonly steps: Step[] = [];
  private readonly waiting: (() => void)[] = [];
  private readonly cancelled = Promise.withResolvers<void>();

  constructor(private readonly sessions: Map<string, string[]>) {
    const connection = this.program().connect(ndJsonStream(this.outward.writable, this.inward.readable));
    closers.push(() => connection.close());
    void this.listen();
  }

  private program(): ReturnType<typeof newAgent> {
    return newAgent({ name: 'test-agent' })
      .onRequest(methods.agent.initialize, () => ({
        protocolVersion: 1,
        agentInfo: { name: 'test-agent', version: '1.0.0' },
        agentCapabilities: { loadSession: true, promptCapabilities: { image: true } },
      }))
      .onRequest(methods.agent.session.new, () => {
        const sessionId = `session-${this.sessions.size + 1}`;
        this.sessions.set(sessionId, []);
        return { sessionId };
      })
      .onRequest(methods.agent.session.load, async ({ params: { sessionId }, client }) => {
        for (const text of this.sessions.get(sessionId)!) await say(client, sessionId, text);
        return {};
      })
      .onRequest(methods.agent.session.prompt, async ({ params: { sessionId, prompt }, client }) => {
        const text = prompt[0]?.type === 'text' ? prompt[0].text : '';
        await say(client, sessionId, 'I have heard ');
        await say(client, sessionId, `"${text}".`);
        this.sessions.get(sessionId)!.push(text);
        if (text === 'Wait') {
          await this.cancelled.promise;
          return { stopReason: 'cancelled' as const };
        }
        const toolCall = { toolCallId: 'call-1', title: 'Write a.ts', kind: 'edit' as const };
        const { outcome } = await client.request<RequestPermissionResponse>(methods.client.session.requestPermission, {
          sessionId,
          toolCall,
          options: [{ optionId: 'go', name: 'Go', kind: 'allow_once' }],
        });
        const isAllowed = outcome.outcome === 'selected' && outcome.optionId === 'go';
        const update = { sessionUpdate: 'tool_call_update' as const, toolCallId: 'call-1' };
        const status = isAllowed ? ('completed' as const) : ('failed' as const);
        const content = [{ type: 'diff' as const, path: '/workspace/a.ts', newText: 'export {};' }];
        await client.notify(methods.client.session.update, { sessionId, update: { ...update, status, content } });
        await say(client, sessionId, isAllowed ? 'Written.' : 'Not written.');
        return { stopReason: isAllowed ? ('end_turn' as const) : ('cancelled' as const) };
      })
      .onNotification(methods.agent.session.cancel, () => this.cancelled.resolve());
  }

  private async listen(): Promise<void> {
    let rest = '';
    for await (const text of this.outward.readable.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split('\n');
      rest = lines.pop()!;
      for (const line of lines) this.hear({ type: 'line', text: line });
    }
  }

  /** As if the server was killed after each event: the state is what was stored. */
  hear(event: DialogueEvent): Step {
    const result = step(JSON.parse(JSON.stringify(this.state)) as DialogueState, event, new Date());
    this.state = result.state;
    this.steps.push(result);
    for (const frame of result.frames) void this.writer.write(Buffer.from(`${JSON.stringify(frame)}\n`));
    for (const call of this.waiting.splice(0)) call();
    return result;
  }

  async reaches(isThere: (state: DialogueState) => boolean): Promise<void> {
    while (!isThere(this.state)) await new Promise<void>((resolve) => this.waiting.push(resolve));
  }

  async is(phase: SessionPhase): Promise<void> {
    await this.reaches((state) => state.phase === phase);
  }

  async opens(opening: Partial<DialogueOpening> = {}): Promise<OpenedSession> {
    this.hear({ type: 'begun', opening: { ...OPENING, ...opening } });
    await this.is('idle');
    return this.steps.find(({ session }) => session !== null)!.session!;
  }

  prompts(text: string): void {
    this.hear({ type: 'prompt', prompt_id: text, content: [{ type: 'text', text }] });
  }

  all<Name extends 'messages' | 'turns' | 'opened' | 'closed'>(name: Name): Step[Name][number][] {
    return this.steps.flatMap((one): Step[Name][number][] => one[name]);
  }

  texts(): string {
    const said = this.all('messages').filter(
      ({ data }) => (data['metadata'] as { kind: string }).kind === 'agent_message',
    );
    return said.map(({ data }) => String(data['message'])).join('');
  }
}

async function say(client: AgentContext, sessionId: string, text: string): Promise<void> {
  const update = { sessionUpdate: 'agent_message_chunk' as const, content: { type: 'text' as const, text } };
  await client.notify(methods.client.session.update, { sessionId, update });
}

describe('an agent of the official SDK', () => {
  it('works through a turn with a permission request, and loads its session again', async () => {
    const sessions = new Map<string, string[]>();
    const agent = new Agent(sessions);
    expect(await agent.opens()).toMatchObject({ session_id: 'session-1', how: 'new', agent: { name: 'test-agent' } });
    agent.prompts('Write');
    await agent.reaches(({ permissions }) => permissions.length > 0);
    expect(agent.all('opened')).toMatchObject([{ tool_call: { title: 'Write a.ts' }, options: [{ option_id: 'go' }] }]);
    agent.hear({ type: 'answer', key: '1', option_id: 'go' });
    await agent.is('idle');
    expect(agent.all('turns')).toMatchObject([{ prompt_id: 'Write', stop_reason: 'end_turn' }]);
    expect(agent.texts()).toBe('I have heard "Write".Written.');
    const { messages } = agent.hear({ type: 'finish' });
    expect(messages).toMatchObject([{ type: 'result', data: { status: 'completed', summary: 'Written.' } }]);

    const next = new Agent(sessions);
    const created_at = '2026-01-09T10:30:00.000Z';
    expect(await next.opens({ session: { session_id: 'session-1', created_at } })).toMatchObject({ how: 'loaded' });
    expect(next.texts()).toBe('');
    next.prompts('Wait');
    await next.reaches(({ words }) => words.endsWith('.'));
    next.hear({ type: 'cancel', reason: 'interrupt' });
    await next.is('idle');
    expect(next.all('turns')).toMatchObject([{ stop_reason: 'cancelled', cancelled_by: 'interrupt' }]);
    next.prompts('Write');
    await next.reaches(({ permissions }) => permissions.length > 0);
    next.hear({ type: 'cancel', reason: 'stop' });
    await next.is('closed');
    expect(next.all('closed')).toMatchObject([{ why: 'cancelled' }]);
    expect(sessions.get('session-1')).toEqual(['Write', 'Wait', 'Write']);
  });
});
