import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { ScriptedModelServer, sendJson, type ModelRequest, type ModelTurn } from './scripted-server.js';

/** Of a node in an answer. */
const NODE = { text: 0, tool_use: 5, thinking: 8 };
/** Why an answer ends. */
const STOP = { end_turn: 1, tool_use: 3 };
const MODEL = 'scripted';

/** A tenant of Augment's, as far as Auggie needs it: `AUGMENT_SESSION_AUTH` names its address. */
export class AuggieTenant extends ScriptedModelServer {
  /** What goes into `AUGMENT_SESSION_AUTH`. */
  static credentials(tenantURL: string): string {
    return JSON.stringify({ accessToken: 'a-token', tenantURL, scopes: ['read', 'write'] });
  }

  protected answer({ path, body }: ModelRequest, response: ServerResponse): void {
    if (path.startsWith('/get-models')) return sendJson(response, MODELS);
    if (path.startsWith('/find-missing'))
      return sendJson(response, { unknown_memory_names: [], nonindexed_blob_names: [] });
    if (path.startsWith('/agents/list-remote-tools')) return sendJson(response, { tools: [] });
    if (!path.startsWith('/chat-stream')) return sendJson(response, {});
    const definitions = body['tool_definitions'];
    const isConversation = Array.isArray(definitions) && definitions.length > 0;
    const turn = isConversation
      ? this.next(response, (status) => ({ error: `The script says ${status}.` }))
      : { say: 'A task' };
    if (!turn) return undefined;
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(`${JSON.stringify(answerOf(turn))}\n`);
  }
}

function answerOf({ think, say = '', call }: ModelTurn): object {
  const nodes: object[] = [];
  const add = (type: number, more: object): unknown => nodes.push({ id: nodes.length + 1, type, content: '', ...more });
  if (think !== undefined) add(NODE.thinking, { thinking: { summary: think } });
  if (say) add(NODE.text, { content: say });
  if (call) {
    const tool_use = {
      tool_use_id: `call-${randomUUID()}`,
      tool_name: call.name,
      input_json: JSON.stringify(call.args),
    };
    add(NODE.tool_use, { tool_use });
  }
  const stop_reason = call ? STOP.tool_use : STOP.end_turn;
  return {
    text: say,
    nodes,
    stop_reason,
    unknown_blob_names: [],
    checkpoint_not_found: false,
    workspace_file_chunks: [],
  };
}

const MODELS = {
  default_model: MODEL,
  models: [{ name: MODEL, suggested_prefix_char_count: 8000, suggested_suffix_char_count: 8000 }],
  languages: [],
  feature_flags: {},
  user_tier: 'ENTERPRISE_TIER',
  user: { id: 'somebody', email: 'somebody@example.invalid' },
};
