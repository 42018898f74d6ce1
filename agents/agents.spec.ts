import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

interface Row {
  name: string;
  title: string;
  repository: string;
  package: string;
  command: string[];
  environment: Record<string, string>;
  auth: { variables: string[]; optional: string[]; method: string | null };
  mode: string | null;
  allowed_hosts: string[];
  home: string;
  quirks: { code: string; text: string }[];
}

const AGENTS = import.meta.dirname;
const { agents } = JSON.parse(readFileSync(join(AGENTS, 'agents.json'), 'utf8')) as { agents: Row[] };

describe('the table of agents', () => {
  it('has a row for each image that speaks the Agent Client Protocol', () => {
    const images = readdirSync(AGENTS, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !['base', 'demo-agent', 'test-agent'].includes(entry.name))
      .map(({ name }) => name);
    expect(agents.map(({ name }) => name).toSorted()).toEqual(images.toSorted());
  });

  it.each(agents)('says of $name what its files say', (row) => {
    const read = (file: string): string => readFileSync(join(AGENTS, row.name, file), 'utf8');
    const dockerfile = read('Dockerfile').replaceAll('\\\n', '');
    expect(JSON.parse(/^CMD (.*)$/m.exec(dockerfile)?.[1] ?? 'null')).toEqual(row.command);
    for (const [name, value] of Object.entries(row.environment))
      expect(dockerfile.replaceAll("'", '')).toContain(`${name}=${value}`);
    expect(dockerfile).toContain(`io.kandev.agent.name=${row.name}`);
    const { dependencies, optionalDependencies } = JSON.parse(read('package.json')) as Record<string, object>;
    const version = ({ ...dependencies, ...optionalDependencies } as Record<string, string>)[row.package];
    expect(read('CHANGELOG.md')).toContain(version);
    const lock = read('package-lock.json');
    expect(lock).not.toMatch(/"resolved"|https?:\/\/registry/); // whatever registry there is, the hashes decide
    for (const name of [...row.auth.variables, ...row.auth.optional]) expect(read('README.md')).toContain(name);
    for (const host of row.allowed_hosts) expect(read('README.md')).toContain(host);
  });
});
