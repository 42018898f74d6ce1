import type { InferKyselyDB } from '@mikro-orm/postgresql';
import type { AgentSessionSchema, SessionFrameSchema } from '../domain/agent-session.entity.js';
import type { KeptFrameSchema } from '../domain/kept-frame.entity.js';
import type { PermissionRequestSchema } from '../domain/permission-request.entity.js';
import type { PromptSchema } from '../domain/prompt.entity.js';
import type { SessionSettingsSchema } from '../domain/session-settings.entity.js';

/** Tables of this module, for typed SQL. */
export type SessionDB = InferKyselyDB<
  | typeof AgentSessionSchema
  | typeof SessionFrameSchema
  | typeof KeptFrameSchema
  | typeof PromptSchema
  | typeof PermissionRequestSchema
  | typeof SessionSettingsSchema
>;

/** A list for a column of JSON: node-postgres would make an array of PostgreSQL's of it. Objects need no help. */
export const listAsJson = <T>(list: readonly T[]): T[] => JSON.stringify(list) as unknown as T[];

/** PostgreSQL's channel of news for dialogues: the id of an agent, or of a task whose agent is meant. */
export const SESSION_CHANNEL = 'kandev_sessions';
