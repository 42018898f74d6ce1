import type { Config } from '../../../../common/config/config.js';
import { hostVariables, resolveVariables } from '../../domain/environment.js';
import { AttemptFailure } from '../../domain/outcome.js';
import type { Granted } from '../../domain/credentials.js';
import type { CredentialSource } from './credential-source.js';
import { environmentFile } from './environment-file.js';

/** An agent type's variables with their values. */
export interface GrantedVariables {
  environment: Record<string, string>;
  granted: Granted['granted'];
  secrets: string[];
}

/**
 * `${NAME}` is the user's own variable, else the server's, where the allow-list has it.
 * @throws AttemptFailure `agent.environment` for one that is neither allowed nor there
 */
export async function grantVariables(
  wanted: Record<string, string>,
  source: CredentialSource | null,
  { agent, host_environment }: Config,
): Promise<GrantedVariables> {
  const names = hostVariables(wanted);
  const own =
    names.length > 0 && source?.from === 'user' ? await environmentFile(source.folder) : new Map<string, string>();
  const used = { user: new Map<string, string>(), server: new Map<string, string>() };
  const environment = resolveVariables(wanted, (name) => {
    const allowed = agent.env_allowlist.includes(name);
    for (const [from, values] of [
      ['user', Object.fromEntries(own)],
      ['server', host_environment],
    ] as const) {
      const value = allowed ? values[name] : undefined;
      if (!value) continue;
      used[from].set(name, value);
      return value;
    }
    const why = allowed ? 'is not set on the server' : 'is not in KANDEV_ENV_ALLOWLIST';
    throw new AttemptFailure('agent.environment', `The agent type asks for the variable ${name}, which ${why}.`);
  });
  const granted = (['user', 'server'] as const).flatMap((from) =>
    used[from].size > 0 ? [{ kind: 'environment', names: [...used[from].keys()].toSorted(), from }] : [],
  );
  return { environment, granted, secrets: [...used.user.values(), ...used.server.values()] };
}
