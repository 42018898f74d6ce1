import { green, printable, red, say, title } from './terminal.mjs';

/** Prints states with times, diff and artifacts; true when the task was completed. */
export async function printResults({ api, task_id, diff }) {
  const task = await api.get(`/tasks/${task_id}`);
  const { events } = await api.get(`/tasks/${task_id}/events`);
  title('The task');
  let before;
  for (const { event_type, old_state, new_state, created_at } of events) {
    if (event_type !== 'task.created' && event_type !== 'task.state_changed') continue;
    const took = before ? `   (+${((Date.parse(created_at) - before) / 1000).toFixed(1)} s)` : '';
    say(`${created_at}   ${old_state ? `${old_state} -> ` : ''}${new_state ?? task.state}${took}`);
    before = Date.parse(created_at);
  }
  const status = await api.get(`/orchestrator/tasks/${task_id}/status`);
  say(task.state === 'COMPLETED' ? green('COMPLETED') : red(`${task.state}: ${status.failure_message ?? ''}`));

  title('What the agent changed');
  for (const line of diff.trimEnd().split('\n'))
    say(line.startsWith('+') ? green(line) : line.startsWith('-') ? red(line) : line);

  const { artifacts } = await api.get(`/orchestrator/tasks/${task_id}/artifacts`);
  for (const artifact of artifacts) {
    title(`Artifact: ${artifact.name} (${artifact.type}, ${artifact.size} bytes)`);
    say(printable(await api.text(artifact.download_url)));
  }
  return task.state === 'COMPLETED';
}
