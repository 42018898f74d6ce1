import type { AgentInstance } from './agent-instance.entity.js';
import type { AgentUser } from './container-runtime.js';

/** Is told, in a sentence for people, what the gateway has refused: once for each host, and 20 hosts at most. */
export type RefusalReport = (message: string) => void;

/**
 * The only way out of an agent's container: a socket on the host that lets through what the attempt may reach. One
 * for each attempt, as long as this server looks after it.
 */
export abstract class Gateways {
  /** Opens it and returns the directory to mount; null where the mode has none (`none`, `open`). Again: the same. */
  abstract open(instance: AgentInstance, user: AgentUser, refused?: RefusalReport): Promise<string | null>;
  /** Where the directory of an attempt's gateway is, or would be. */
  abstract path(agentId: string): string;
  /** Closes it, with its connections; the directory stays. */
  abstract close(agentId: string): Promise<void>;
  /** Closes it and removes the directory; absent is fine. */
  abstract remove(agentId: string): Promise<void>;
  /** Agents with a gateway's directory on this host. */
  abstract list(): Promise<string[]>;
}
