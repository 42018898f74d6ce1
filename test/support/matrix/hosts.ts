import { randomUUID } from 'node:crypto';
import { ADMIN, SIGNED_IN, type Ask, type Cell, type Rows } from './row.js';

/** A host that was last heard of a while ago, and has nothing. */
async function onHost({ world }: Cell): Promise<Ask> {
  const id = randomUUID();
  await world.database.query(
    `insert into agent_hosts (id, name, slots, memory_bytes, cpus, server_version, started_at, heartbeat_at)
     values ($1, 'of the matrix', 1, 0, 0, '1', now(), now() - interval '1 hour')`,
    [id],
  );
  return { ids: { hostId: id } };
}

const withReason = async (cell: Cell): Promise<Ask> => ({ ...(await onHost(cell)), body: { reason: 'a new disk' } });

export const HOSTS: Rows = {
  listHosts: { access: SIGNED_IN, ok: 200 },
  getHost: { access: SIGNED_IN, ok: 200, ask: onHost },
  drainHost: { access: ADMIN, ok: 200, ask: withReason },
  undrainHost: { access: ADMIN, ok: 200, ask: onHost },
  removeHost: { access: ADMIN, ok: 204, ask: onHost },
};
