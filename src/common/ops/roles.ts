import type { Config } from '../config/config.js';

/** What a process does, as `KANDEV_ROLE` says. `all` is each of the others in one. */
export type ProcessRole = Config['orchestrator']['role'];
/** What a piece of work belongs to. */
export type WorkRole = Exclude<ProcessRole, 'all'>;

/** Whether work of these roles is done in a process of that one. Without any: everywhere. */
export function worksIn(role: ProcessRole, roles?: readonly WorkRole[]): boolean {
  return role === 'all' || roles === undefined || roles.includes(role);
}
