/**
 * Our own refs for a task, in the repository of its address. `base`: what its workspace was made from. `from`: a
 * folder with one ref to the same commit, named `heads/{branch}` or `tags/{tag}` after what that was. `head`: what was
 * last committed of its work. `restored`: the rescue that its workspace was brought back from.
 */
export function taskRef(taskId: string, which: 'base' | 'from' | 'head' | 'restored'): string {
  return `${taskFolder(taskId)}/${which}`;
}

function taskFolder(taskId: string): string {
  if (!/^[0-9a-f-]{36}$/.test(taskId)) throw new Error('not a task id'); // it becomes a path
  return `refs/kandev/tasks/${taskId}`;
}

/** What of a repository a task may read, as arguments for `git rev-list`: what its remote has, and its own. */
export function ownRefs(taskId: string): string[] {
  return ['refs/remotes/origin', 'refs/tags', taskFolder(taskId)].map((folder) => `--glob=${folder}`);
}

/** Our own ref for what was rescued from a workspace. */
export function rescueRef(rescueId: string): string {
  if (!/^[0-9a-f-]{36}$/.test(rescueId)) throw new Error('not a rescue id');
  return `refs/kandev/rescue/${rescueId}`;
}
