import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { methods } from '@agentclientprotocol/sdk';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { AuggieTenant } from '../support/model-servers/auggie-tenant.js';
import { auggieEdit, geminiEdit } from '../support/model-servers/edits.js';
import { GeminiServer } from '../support/model-servers/gemini-server.js';
import type { ModelTurn, ScriptedModelServer } from '../support/model-servers/scripted-server.js';
import { RealAgent } from '../support/real-agent.js';
import { describeWithEngine } from './engine.js';

const ROOT = resolve(import.meta.dirname, '../..');
interface Case {
  name: string;
  image: string;
  environment: Record<string, string>;
  server: () => ScriptedModelServer;
  /** A call of the agent's own tool. */
  edit: NonNullable<ModelTurn['call']>;
}

const AGENTS: Case[] = [
  {
    name: 'gemini-agent',
    image: 'kandev/gemini-agent:host',
    environment: { GEMINI_API_KEY: 'a-key', GOOGLE_GEMINI_BASE_URL: RealAgent.modelUrl },
    server: () => new GeminiServer(),
    edit: geminiEdit('price.js', 'a - b', 'a + b'),
  },
  {
    name: 'auggie-cli',
    image: 'augmentcode/auggie-cli:host',
    environment: { AUGMENT_SESSION_AUTH: AuggieTenant.credentials(RealAgent.modelUrl) },
    server: () => new AuggieTenant(),
    edit: auggieEdit('price.js', 'a - b', 'a + b'),
  },
];

describeWithEngine.each(AGENTS)('the real $name', { timeout: 120_000 }, ({ name, image, edit, ...how }) => {
  let agent: RealAgent;
  let session: string;

  beforeAll(async () => {
    const build = [join(ROOT, 'scripts/agent-image.mjs'), 'build', name, '--from-host'];
    execFileSync(process.execPath, build, { stdio: 'pipe' });
    agent = new RealAgent(image, commandOf(name), how.environment, how.server());
    await agent.listen();
  }, 300_000);

  afterAll(() => agent.close());

  it('edits a file in a turn, and asks before', async () => {
    const client = agent.start();
    session = await client.open('/workspace');
    const file = agent.write('price.js', 'export const sum = (a, b) => a - b;\n');
    agent.model.turns.push({ say: 'I repair it.', call: edit }, { say: 'It is repaired.' });
    expect(await client.prompt(session, 'Repair price.js')).toMatchObject({ stopReason: 'end_turn' });
    expect(client.asked).toMatchObject([{ toolCall: { kind: 'edit' } }]);
    expect(readFileSync(file, 'utf8')).toBe('export const sum = (a, b) => a + b;\n');
    expect(client.text()).toContain('It is repaired.');
    await client.close();
    agent.ageSessions();
  });

  it('loads its session in a new container', async () => {
    const client = agent.start();
    await client.initialize();
    await client.agent.request(methods.agent.session.load, { sessionId: session, cwd: '/workspace', mcpServers: [] });
    await expect.poll(() => client.text('user_message_chunk')).toContain('Repair price.js');
    agent.model.turns.push({ say: 'I remember.' });
    expect(await client.prompt(session, 'Do you remember?')).toMatchObject({ stopReason: 'end_turn' });
    expect(client.text()).toContain('I remember.');
    expect(JSON.stringify(agent.model.requests.map(({ body }) => body))).toContain('Do you remember?');
    agent.model.turns.push({ status: 400 });
    await expect(client.prompt(session, 'And now?')).rejects.toThrow(); // its model server refuses
  });
});

/** As its agent type runs it. */
function commandOf(name: string): string {
  const { agents } = JSON.parse(readFileSync(join(ROOT, 'agents/agents.json'), 'utf8')) as {
    agents: { name: string; command: string[] }[];
  };
  return agents.find((agent) => agent.name === name)?.command.join(' ') ?? '';
}
