import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Notes each start of itself where no attempt cleans up: in its task's workspace, and in the stream, for workspaces that
 * are mounted only while an agent works. Then it does what its task's description says.
 */
const SCRIPT = `
echo "$KANDEV_AGENT_ID" >> starts
echo "begun $KANDEV_AGENT_ID"
eval "$KANDEV_TASK_DESCRIPTION"
`;
export const COMMAND = ['sh', '-c', SCRIPT];

/** What an agent does: descriptions of its task. */
export const DOES = {
  /** Ends well, after so many seconds. */
  work: (seconds: number): string => `sleep ${seconds}; exit 0`,
  fail: 'exit 3',
  /** Works until it is told how to end. */
  wait: 'until [ -s "end-$KANDEV_AGENT_ID" ]; do sleep 0.1; done; exit "$(cat "end-$KANDEV_AGENT_ID")"',
  /** Does not hear SIGTERM. */
  deaf: `trap '' TERM; while :; do sleep 0.2; done`,
} as const;

/** Tells an agent that waits to end with the exit code. */
export function tellEnd(home: string, taskId: string, agentId: string, code = 0): void {
  const workspace = join(home, 'workspaces', taskId, 'workspace');
  mkdirSync(workspace, { recursive: true });
  writeFileSync(join(workspace, `end-${agentId}`), String(code));
}

/** How often each agent of the task was started, by its own notes in these homes. */
export function notedStarts(homes: readonly string[], taskId: string): Map<string, number> {
  const starts = new Map<string, number>();
  for (const home of homes) {
    for (const agent of linesOf(join(home, 'workspaces', taskId, 'workspace', 'starts')))
      starts.set(agent, (starts.get(agent) ?? 0) + 1);
  }
  return starts;
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n').slice(0, -1);
  } catch {
    return []; // never started here, or its disk is not mounted
  }
}
