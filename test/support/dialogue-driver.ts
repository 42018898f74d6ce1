import type {
  DialogueEvent,
  DialogueFrame,
  DialogueOpening,
} from '../../src/modules/session/contracts/dialogue.types.js';
import { steps, type Step } from '../../src/modules/session/domain/dialogue/dialogue.js';
import { newDialogue, type DialogueState } from '../../src/modules/session/domain/dialogue/state.js';

export const START = new Date('2026-01-09T10:30:00.000Z');

export const OPENING: DialogueOpening = {
  cwd: '/workspace',
  client: { name: 'kandev', version: '0.1.0' },
  session: null,
  mode_id: null,
  quirks: {},
};

/** A dialogue whose agent says what a test wants, at the time that the test wants. */
export class DialogueDriver {
  state: DialogueState = newDialogue();
  now = START;
  /** What came of the last events. */
  last!: Step;
  readonly frames: DialogueFrame[] = [];

  hear(...events: DialogueEvent[]): Step {
    this.last = steps(this.state, events, this.now);
    this.state = this.last.state;
    this.frames.push(...this.last.frames);
    return this.last;
  }

  /** The agent writes JSON, one line each. */
  says(...frames: unknown[]): Step {
    return this.hear(...frames.map((frame): DialogueEvent => ({ type: 'line', text: JSON.stringify(frame) })));
  }

  updates(...updates: object[]): Step {
    return this.says(...updates.map((update) => updateOf(update, this.state.session_id ?? 's1')));
  }

  /** The agent answers our last request. */
  answers(result: unknown): Step {
    return this.says({ jsonrpc: '2.0', id: this.asked().id, result });
  }

  fails(error: object): Step {
    return this.says({ jsonrpc: '2.0', id: this.asked().id, error });
  }

  asked(): DialogueFrame {
    return this.frames.findLast((frame) => frame.method !== undefined && frame.id !== undefined)!;
  }

  later(ms: number): Step {
    this.now = new Date(this.now.getTime() + ms);
    return this.hear({ type: 'time' });
  }

  begins(opening: Partial<DialogueOpening> = {}): Step {
    return this.hear({ type: 'begun', opening: { ...OPENING, ...opening } });
  }

  /** As far as a new session that takes prompts. */
  opens(opening: Partial<DialogueOpening> = {}, facts: object = {}): this {
    this.begins(opening);
    this.answers({ protocolVersion: 1, agentCapabilities: { loadSession: true }, ...facts });
    this.answers({ sessionId: 's1' });
    return this;
  }

  prompts(text = 'Repair it', id = 'p1'): this {
    this.hear({ type: 'prompt', prompt_id: id, content: [{ type: 'text', text }] });
    return this;
  }

  asksPermission(
    id: number | string,
    toolCall: object = { toolCallId: 't1', title: 'Write a.ts', kind: 'edit' },
  ): Step {
    const options = [
      { optionId: 'yes', name: 'Allow', kind: 'allow_once' },
      { optionId: 'no', name: 'Reject', kind: 'reject_once' },
    ];
    const params = { sessionId: this.state.session_id, toolCall, options };
    return this.says({ jsonrpc: '2.0', id, method: 'session/request_permission', params });
  }

  texts(): unknown[] {
    return this.last.messages.map(({ data }) => data['message']);
  }
}

export function updateOf(update: object, sessionId = 's1'): object {
  return { jsonrpc: '2.0', method: 'session/update', params: { sessionId, update } };
}

export function words(text: string, sessionUpdate = 'agent_message_chunk'): object {
  return { sessionUpdate, content: { type: 'text', text } };
}
