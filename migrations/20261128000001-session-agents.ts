import { Migration } from '@mikro-orm/migrations';

interface Seed {
  name: string;
  description: string;
  image: string;
  /** What it is given of the server's own environment, where an administrator has allowed that. */
  variables: string[];
  allowed_hosts: string[];
  memory: string;
}

const SEEDS: Seed[] = [
  {
    name: 'claude-code',
    description: 'Claude Code for general development tasks',
    image: 'kandev/claude-code',
    variables: ['ANTHROPIC_API_KEY'],
    allowed_hosts: ['api.anthropic.com'],
    memory: '2g',
  },
  {
    name: 'codex',
    description: 'Codex for general development tasks',
    image: 'kandev/codex',
    variables: ['OPENAI_API_KEY'],
    allowed_hosts: ['api.openai.com'],
    memory: '1.5g',
  },
  {
    name: 'opencode',
    description: 'OpenCode, with the models of several providers',
    image: 'kandev/opencode',
    variables: ['ANTHROPIC_API_KEY'],
    allowed_hosts: ['api.anthropic.com', 'api.openai.com', 'generativelanguage.googleapis.com'],
    memory: '2g',
  },
  {
    name: 'qwen-code',
    description: 'Qwen Code for general development tasks',
    image: 'kandev/qwen-code',
    variables: ['OPENAI_API_KEY'],
    allowed_hosts: ['dashscope.aliyuncs.com'],
    memory: '1.5g',
  },
];

/** How their sessions are held: the mode in which they ask, and what else is special. agents/agents.json tells why. */
const SETTINGS = [
  { name: 'gemini-agent', mode: 'default', quirks: { load_min_age_seconds: 61, replay_settle_ms: 1_000 } },
  { name: 'auggie-cli', mode: 'default', quirks: {} },
  { name: 'claude-code', mode: 'default', quirks: {} },
  { name: 'codex', mode: 'read-only', quirks: { auth_method: 'api-key' } },
  { name: 'qwen-code', mode: 'default', quirks: {} },
];

/** Auggie's as it was shipped, and the key without which it opens no session. */
const AUGGIE = { AUGGIE_MODE: 'acp', AUGGIE_STREAM: 'true' };
const AUGGIE_WITH_KEY = { ...AUGGIE, AUGMENT_SESSION_AUTH: '${AUGMENT_SESSION_AUTH}' };

/** Agent types of the images that have come since, and how sessions with all of them are held. */
export class SessionAgents extends Migration {
  override up(): void {
    for (const { name, description, image, variables, allowed_hosts, memory } of SEEDS) {
      const environment = Object.fromEntries(variables.map((variable) => [variable, `\${${variable}}`]));
      const resources = { cpu_limit: '1.5', memory_limit: memory, disk_limit: '10g' };
      // One that an administrator has made under this name stays as it is.
      this.addSql(
        `insert into agent_types
           (name, description, docker_image, docker_tag, protocol, default_resources, environment_vars, capabilities,
            mounts, network, allowed_hosts, enabled)
         values ('${name}', '${description}', '${image}', 'latest', 'agent-client-protocol',
           '${JSON.stringify(resources)}', '${JSON.stringify(environment)}', '["code_generation", "debugging", "refactoring"]',
           '["ssh_keys", "gitconfig"]', 'allowlist', '${JSON.stringify(allowed_hosts)}', true)
         on conflict (name) do nothing`,
      );
    }
    this.addSql(
      `insert into agent_type_versions (agent_type_id, version, definition)
       select id, version, to_jsonb(t) - array['id', 'name', 'version', 'created_at', 'updated_at'] from agent_types t
       where not exists (select from agent_type_versions v where v.agent_type_id = t.id)`,
    );
    for (const statement of auggieVariables(AUGGIE, AUGGIE_WITH_KEY)) this.addSql(statement);
    for (const { name, mode, quirks } of SETTINGS) {
      this.addSql(
        `insert into session_settings (scope, subject, mode_id, quirks)
         select 'agent_type', name, '${mode}', '${JSON.stringify(quirks)}' from agent_types
         where name = '${name}' and protocol = 'agent-client-protocol'`,
      );
    }
  }

  override down(): void {
    for (const statement of auggieVariables(AUGGIE_WITH_KEY, AUGGIE)) this.addSql(statement);
    const images = SEEDS.map(({ image }) => `'${image}'`).join(', ');
    this.addSql(
      `delete from agent_types where docker_image in (${images})
       and not exists (select from tasks where agent_type = agent_types.name)
       and not exists (select from runs where agent_type = agent_types.name)`,
    );
    this.addSql(`delete from session_settings where scope = 'agent_type'`);
  }
}

/** What an administrator has written stays as it is. */
function auggieVariables(from: object, to: object): string[] {
  return [
    `update agent_types set environment_vars = '${JSON.stringify(to)}'
     where name = 'auggie-cli' and environment_vars = '${JSON.stringify(from)}'`,
    `update agent_type_versions v set definition = v.definition || jsonb_build_object('environment_vars', t.environment_vars)
     from agent_types t where t.id = v.agent_type_id and t.version = v.version and t.name = 'auggie-cli'`,
  ];
}
