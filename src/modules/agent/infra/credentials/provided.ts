import type { CredentialMount } from '../../contracts/agent.types.js';
import type { CredentialSource } from './credential-source.js';

/** A file for the agent: a copy is made of it. */
export interface ProvidedFile {
  /** Below the agent's home. */
  path: string;
  content: Buffer;
}

/** What there is of one kind. */
export interface Provided {
  kind: CredentialMount;
  /** Of files, for the audit log. */
  names: string[];
  files: ProvidedFile[];
  environment: Record<string, string>;
  secrets: string[];
  /** Host path of an SSH agent's socket to be relayed. */
  agent_socket?: string;
}

/** Looks for one kind of credentials; null: there is nothing of it. */
export type Provider = (source: CredentialSource) => Promise<Provided | null>;
