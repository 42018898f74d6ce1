import { sql } from 'kysely';
import { NOBODY } from './run-rows.js';

// What the claim goes by, for it and for those who explain it.

/** Runs that hold a place on a host. */
export const HELD = sql.raw(`state in ('STARTING', 'RUNNING', 'PAUSED', 'STOPPING')`);
/** Queued runs that a host may take if there is room. */
export const CLAIMABLE = sql.raw(`state = 'QUEUED' and not waits_for_tasks and not_before is null`);
/** Whose share of the queue a run is of. */
export const USER = sql.raw(`coalesce(requested_by, '${NOBODY}'::uuid)`);
/**
 * A run that has waited for longer than this, by its rank, and for which the host has room but for what runs there now,
 * gets it: the host takes nothing else until it has. Else a large one would wait for ever for small ones to leave a gap
 * at the same time.
 */
export const SAVE_UP_AFTER = sql.raw(`interval '10 minutes'`);
/**
 * A host that was heard of within it could save up for such a run, whatever `KANDEV_HOST_LOST_SECONDS` says. The same as
 * `HEARD_OF` in the migration 20261126000001-claim, by which the claim itself goes.
 */
export const SAVERS_HEARD_OF = sql.raw(`interval '1 minute'`);
