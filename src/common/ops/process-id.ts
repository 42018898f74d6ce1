/** Identity of this server process: who holds leases, and who serves a host. A new one with each start. */
export const PROCESS_ID = crypto.randomUUID();

/** What our sessions are called at PostgreSQL: others see by that whether a process, of whatever machine, is there. */
export const SESSION_NAME = `kandev-${process.pid}.${PROCESS_ID}`;
