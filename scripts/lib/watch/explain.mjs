/** Why watching is over, for whoever watches. */
export function explain(error, { url, task_id }) {
  if (error.name === 'KandevError') {
    if (error.code === 'task.not_found') return `There is no task ${task_id} at ${url}, or it is not yours to see.`;
    if (error.status === 401) return `${error.problem.detail} (${error.code}) Sign in anew, or use an API key: --help.`;
    return `${error.problem.detail} (${error.code})`;
  }
  // Of a connection that fails `fetch` makes a TypeError with a cause; one without is a fault of ours.
  const isUnanswered = error.name === 'TypeError' && error.cause instanceof Error;
  if (isUnanswered || error.name === 'TimeoutError') {
    const why = error.cause?.code ?? error.cause?.message ?? error.message;
    return `No server answers at ${url} (${why}). Start one with "npm start", or say where it is with --url.`;
  }
  return error.message;
}
