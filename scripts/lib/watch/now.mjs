/** What the last line tells of, as messages change it. */
const OPERATION_LENGTH = 500; // more than a terminal's line holds; it is drawn anew ten times a second

/** Whether the server says it: only what an agent says can't have this mark. */
export function isServers({ data }) {
  return data?.source === 'server';
}

/** Takes from a message what is to be shown until the next one. */
export function follow(now, message) {
  const { type, data } = message;
  if (type === 'status' && isServers(message)) now.progress = now.operation = null; // of another attempt, or over
  if (type !== 'progress') return;
  if (Number.isFinite(data.progress)) now.progress = data.progress;
  if (typeof data.message === 'string') now.operation = data.message.slice(0, OPERATION_LENGTH);
}

/** What the messages say goes before what the last look at the status said: it is newer. */
export function view(status, { progress, operation }) {
  return {
    run_state: status.run_state,
    estimated_completion: status.estimated_completion,
    progress: progress ?? status.progress,
    operation: operation ?? status.current_operation?.slice(0, OPERATION_LENGTH) ?? null,
  };
}
