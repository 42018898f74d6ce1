import { Migration } from '@mikro-orm/migrations';

const SEEDS = [
  {
    name: 'auggie-cli',
    description: 'Augment CLI agent for code analysis and development tasks',
    docker_image: 'augmentcode/auggie-cli',
    protocol: 'agent-client-protocol',
    default_resources: { cpu_limit: '2.0', memory_limit: '2g', disk_limit: '10g' },
    environment_vars: { AUGGIE_MODE: 'acp', AUGGIE_STREAM: 'true' },
    capabilities: ['code_analysis', 'code_generation', 'debugging', 'refactoring'],
  },
  {
    name: 'gemini-agent',
    description: 'Google Gemini-powered agent for general development tasks',
    docker_image: 'kandev/gemini-agent',
    protocol: 'agent-client-protocol',
    default_resources: { cpu_limit: '1.5', memory_limit: '1.5g', disk_limit: '10g' },
    environment_vars: { GEMINI_API_KEY: '${GEMINI_API_KEY}', ACP_ENABLED: 'true' },
    capabilities: ['code_review', 'documentation', 'testing', 'general_assistance'],
  },
  {
    name: 'demo-agent',
    description: 'Finds a failing test in a JavaScript repository and repairs the code by trying small changes',
    docker_image: 'kandev/demo-agent',
    protocol: 'json-lines',
    default_resources: { cpu_limit: '1.0', memory_limit: '512m', disk_limit: '1g' },
    environment_vars: {},
    capabilities: ['debugging', 'testing'],
  },
];

/** The agent types that every installation starts with. */
export class SeedAgentTypes extends Migration {
  override up(): void {
    for (const seed of SEEDS) {
      this.addSql(
        `insert into agent_types
           (name, description, docker_image, docker_tag, protocol, default_resources, environment_vars, capabilities, enabled)
         values ('${seed.name}', '${seed.description}', '${seed.docker_image}', 'latest', '${seed.protocol}',
           '${JSON.stringify(seed.default_resources)}', '${JSON.stringify(seed.environment_vars)}',
           '${JSON.stringify(seed.capabilities)}', true)`,
      );
    }
  }

  override down(): void {
    this.addSql(`delete from agent_types where name in (${SEEDS.map(({ name }) => `'${name}'`).join(', ')})`);
  }
}
