import type { ServerResponse } from 'node:http';
import { ScriptedModelServer, sendJson, type ModelRequest, type ModelTurn } from './scripted-server.js';

const STATUS: Record<number, string> = { 400: 'INVALID_ARGUMENT', 401: 'UNAUTHENTICATED', 429: 'RESOURCE_EXHAUSTED' };

/** The answer to its question how hard a prompt is, by which it chooses its model. */
const CHORE = JSON.stringify({ complexity_reasoning: 'Scripted.', complexity_score: 10 });

/** Google's Gemini API, as far as Gemini CLI (`GOOGLE_GEMINI_BASE_URL`) and Qwen Code's relatives need it. */
export class GeminiServer extends ScriptedModelServer {
  /** Only what has tools is the agent's conversation; the rest are chores of its own, such as a title. */
  protected answer({ path, body }: ModelRequest, response: ServerResponse): void {
    if (path.includes(':countTokens')) return sendJson(response, { totalTokens: 10 });
    const turn = body['tools'] ? this.next(response, error) : { say: CHORE };
    if (!turn) return undefined;
    const answer = answerOf(turn);
    if (!path.includes(':streamGenerateContent')) return sendJson(response, answer);
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end(`data: ${JSON.stringify(answer)}\r\n\r\n`);
  }
}

function answerOf({ think, say, call, tokens = { input: 10, output: 5 } }: ModelTurn): object {
  const parts = [
    ...(think === undefined ? [] : [{ thought: true, text: think }]),
    ...(say === undefined ? [] : [{ text: say }]),
    ...(call ? [{ functionCall: call }] : []),
  ];
  const { input: promptTokenCount, output: candidatesTokenCount } = tokens;
  return {
    candidates: [{ index: 0, content: { role: 'model', parts }, finishReason: 'STOP' }],
    usageMetadata: {
      ...{ promptTokenCount, candidatesTokenCount },
      totalTokenCount: promptTokenCount + candidatesTokenCount,
    },
    modelVersion: 'scripted',
  };
}

function error(code: number): object {
  return { error: { code, message: `The script says ${code}.`, status: STATUS[code] ?? 'INTERNAL' } };
}
