/** What can stand in the way of a new run, for `@ApiProblems`. */
export const START_PROBLEMS = [
  400,
  [401, 'auth.user_gone'],
  [403, 'board.forbidden'],
  [404, 'task.not_found', 'agent_type.not_found'],
  [
    409,
    ...['run.already_live', 'run.task_not_startable', 'run.no_agent_type', 'task.archived'],
    ...['agent_type.disabled', 'agent_type.process_runtime_off', 'idempotency.key_reused', 'board.wip_limit'],
  ],
  413,
  415,
] as const;
