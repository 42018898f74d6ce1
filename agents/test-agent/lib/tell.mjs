/**
 * @typedef {object} Turn
 * @property {import('./sessions.mjs').Session} session
 * @property {import('@agentclientprotocol/sdk').AgentContext} client
 * @property {import('./wire.mjs').Wire} wire
 * @property {AbortSignal} signal aborted by a cancel
 */

/** Sends an update, and keeps it for a later load. @param {Turn} turn @param {any} update */
export async function tell({ session, client }, update) {
  session.keep(update);
  await client.notify('session/update', { sessionId: session.id, update });
}
