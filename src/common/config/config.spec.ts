import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ConfigError, loadConfig } from './config.js';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kandev-config-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

it('makes the home, and what is private in it', () => {
  const { home } = loadConfig({ KANDEV_HOME: join(directory, 'home') });
  for (const name of ['secrets', 'credentials', 'git']) expect(statSync(join(home, name)).mode & 0o777).toBe(0o700);
});

it.each(['', 'credentials', 'git'])("says in one line that the home's %s can't be written to", (name) => {
  const home = join(directory, 'home');
  if (name !== '') loadConfig({ KANDEV_HOME: home });
  const place = join(home, name);
  rmSync(place, { recursive: true, force: true });
  writeFileSync(place.replace(/[/]$/, ''), 'a file is in its place');
  const load = () => loadConfig({ KANDEV_HOME: home });
  expect(load).toThrow(ConfigError);
  expect(load).toThrow(/^KANDEV_HOME: .* can't be written to [(]E\w+[)]; [^\n]*$/);
});
