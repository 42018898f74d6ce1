import type { Config } from '../../../common/config/config.js';
import type { AgentUser } from '../domain/container-runtime.js';

/** Agents of a server that runs as root get this uid: one that no account of a usual system has. */
const UID_WHEN_ROOT = 10_001;

/** Who agents run as: `KANDEV_AGENT_UID`, else the server's own user, never root. */
export function agentUser(config: Config): AgentUser {
  const own = process.getuid?.() ?? UID_WHEN_ROOT;
  const uid = config.agent.uid ?? (own === 0 ? UID_WHEN_ROOT : own);
  return { uid, gid: uid === own ? (process.getgid?.() ?? uid) : uid };
}

/** Only root can, and needs to, give files to another user. */
export function needsChown(user: AgentUser): boolean {
  return process.getuid?.() === 0 && user.uid !== 0;
}
