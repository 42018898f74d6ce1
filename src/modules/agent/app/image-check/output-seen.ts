import { parseMessage, type OutputLine } from '../../../../common/acp/parse-line.js';
import type { OutputSeen } from './image-check.types.js';

const MAX_EXAMPLE = 120;
const MAX_COMPLAINTS = 3;

export function nothingSeen(): OutputSeen {
  return {
    ...{ stdout_lines: 0, stderr_lines: 0, messages: {}, broken: 0, broken_example: null, json_rpc: 0 },
    ...{ result_status: null, read_only_complaints: [], bytes: 0 },
  };
}

/** Adds one line to what was seen. */
export function seeLine(seen: OutputSeen, { bytes, source }: OutputLine): void {
  const text = bytes.toString('utf8');
  seen.bytes += bytes.length + 1;
  if (/read-only file system|\bEROFS\b/i.test(text) && seen.read_only_complaints.length < MAX_COMPLAINTS)
    seen.read_only_complaints.push(text.slice(0, MAX_EXAMPLE));
  if (source === 'stderr') {
    seen.stderr_lines++;
    return;
  }
  seen.stdout_lines++;
  const message = parseMessage(text, new Date(0));
  if (message) {
    seen.messages[message.type] = (seen.messages[message.type] ?? 0) + 1;
    const { status } = message.data;
    if (message.type === 'result' && typeof status === 'string') seen.result_status = status;
    return;
  }
  if (!text.trimStart().startsWith('{')) return;
  if (isJsonRpc(text)) seen.json_rpc++;
  else {
    seen.broken++;
    seen.broken_example ??= text.slice(0, MAX_EXAMPLE);
  }
}

function isJsonRpc(text: string): boolean {
  try {
    return (JSON.parse(text) as { jsonrpc?: unknown }).jsonrpc === '2.0';
  } catch {
    return false;
  }
}
