import { join } from 'node:path';
import { bundleTestAgent } from '../../../scripts/lib/image/test-agent.mjs';

export type Step = Record<string, unknown>;

/** What an agent is asked for besides its task, and when. */
export interface Asked {
  text: string;
  interrupt?: boolean;
  when: 'at once' | 'in the turn' | 'after the run';
}

/** What is said in a conversation. */
export interface Plan {
  /** What the agent does: its n-th prompt plays the n-th script. */
  scripts: Step[][];
  quirks?: Step;
  mode_id?: string;
  auth_method?: string;
  asked?: Asked[];
  /** Nobody answers its permission requests, but the scenario itself. */
  is_unanswered?: boolean;
  runtime?: 'docker';
}

const ROOT = join(import.meta.dirname, '../../..');
/** Where the notes of an agent in a container are to be read: its home, as its task's directory has it. */
export const HOME_IN_CONTAINER = 'workspace/.home';

/** An agent type for the test agent that plays the plan's scripts, and keeps its notes in the home. */
export function agentTypeOf({ scripts, quirks = {}, auth_method, runtime }: Plan, name: string, home: string) {
  const isDocker = runtime === 'docker';
  const environment_vars = {
    HOME: isDocker ? `/${HOME_IN_CONTAINER}` : home,
    TEST_AGENT_SCRIPT: JSON.stringify(scripts),
    TEST_AGENT_QUIRKS: JSON.stringify(quirks),
    ...(auth_method === undefined ? {} : { TEST_AGENT_KEY: 'a key' }),
  };
  const program = isDocker
    ? { docker_image: 'kandev/test-agent', network: 'none' }
    : { docker_image: 'none', runtime: 'process', command: [process.execPath, bundleTestAgent(ROOT)] };
  return { name, protocol: 'agent-client-protocol', environment_vars, ...program };
}

/** What its session settings are. */
export function settingsOf({ mode_id, auth_method }: Plan) {
  return { mode_id, quirks: auth_method === undefined ? {} : { auth_method } };
}
