// The two ways between agent and server: ACP messages out, control messages in; one JSON object a line.

/** Seconds of silence after which a heartbeat says that the agent is alive: a test run may take long. */
const HEARTBEAT_SECONDS = 15;
/** A control message is small; a longer line is no control message. Characters. */
const MAX_CONTROL_LINE = 65_536;

/** Writes ACP messages. Each `send` resolves when the line has left the process, so a slow reader slows the agent. */
export class Channel {
  /**
   * @param {{task_id: string, agent_id: string}} task
   * @param {NodeJS.WritableStream} out
   */
  constructor(task, out) {
    this.task = task;
    this.out = out;
    this.lastSent = Date.now();
    // Whoever writes gets the error; without a listener it would also end the process in mid-repair.
    out.on('error', () => {});
    this.heartbeat = setInterval(() => {
      if (Date.now() - this.lastSent >= HEARTBEAT_SECONDS * 1000) this.send('heartbeat', {}).catch(() => {});
    }, 1000);
    this.heartbeat.unref();
  }

  /** @param {'debug' | 'info' | 'warn' | 'error'} level */
  log(level, message, metadata) {
    return this.send('log', { level, message, ...(metadata && { metadata }) });
  }

  /**
   * @param {'progress' | 'log' | 'result' | 'error' | 'status' | 'heartbeat'} type
   * @param {Record<string, unknown>} data
   */
  send(type, data) {
    return this.write(this.line(type, data));
  }

  /** One message as a line of text, for those who write many at once. */
  line(type, data) {
    const { agent_id, task_id } = this.task;
    return `${JSON.stringify({ type, timestamp: new Date().toISOString(), agent_id, task_id, data })}\n`;
  }

  /** @param {string} lines whole lines */
  write(lines) {
    this.lastSent = Date.now();
    return new Promise((resolve, reject) => {
      this.out.write(lines, (error) => {
        if (error) reject(error);
        else resolve(undefined);
      });
    });
  }
}

/**
 * Calls back for each control message. The input may stay open for ever or be closed from the start.
 * @param {NodeJS.ReadableStream} input
 * @param {(action: string) => void} onAction
 */
export function listenForControl(input, onAction) {
  let rest = '';
  input.setEncoding('utf8');
  input.on('error', () => {});
  input.on('data', (chunk) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > MAX_CONTROL_LINE) rest = '';
    for (const line of lines) {
      const action = controlAction(line);
      if (action) onAction(action);
    }
  });
}

function controlAction(line) {
  try {
    const message = JSON.parse(line);
    return message?.type === 'control' && typeof message.action === 'string' ? message.action : null;
  } catch {
    return null;
  }
}
