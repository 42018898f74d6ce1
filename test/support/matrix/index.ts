import { AGENT_TYPES, AGENTS } from './agents.js';
import { BUDGETS } from './budgets.js';
import { HOSTS } from './hosts.js';
import { API_KEYS, AUTH, USERS } from './identity.js';
import { LIMITS } from './limits.js';
import { RETRIES } from './retries.js';
import type { Rows } from './row.js';
import { SESSIONS } from './sessions.js';
import { BOARDS, RUNS, TASKS } from './tasks.js';
import { WORKSPACES } from './workspaces.js';

/** Every operation of the API, by its operationId. */
export const MATRIX: Rows = {
  ...AUTH,
  ...USERS,
  ...API_KEYS,
  ...BOARDS,
  ...TASKS,
  ...RUNS,
  ...RETRIES,
  ...AGENT_TYPES,
  ...AGENTS,
  ...WORKSPACES,
  ...BUDGETS,
  ...HOSTS,
  ...LIMITS,
  ...SESSIONS,
};
