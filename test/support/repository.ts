import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** A small package with one failing test: a discount that is added instead of taken off. */
export const BROKEN_CART = {
  'package.json': '{"name":"cart","type":"module","scripts":{"test":"node --test"}}\n',
  'src/cart.js': `import { percentOff } from './price.js';

/** From ten pieces of an article on, a tenth less. */
export function total(lines) {
  return lines.reduce((sum, { price, quantity }) => sum + percentOff(price * quantity, quantity >= 10 ? 10 : 0), 0);
}
`,
  'src/price.js': `export function percentOff(price, percent) {
  return price * (1 + percent / 100);
}
`,
  'test/cart.test.js': `import assert from 'node:assert/strict';
import { test } from 'node:test';
import { total } from '../src/cart.js';

test('adds up', () => assert.equal(total([{ price: 2, quantity: 3 }, { price: 1, quantity: 1 }]), 7));
test('gives a discount from ten pieces on', () => assert.equal(total([{ price: 3, quantity: 10 }]), 27));
`,
};

/** Makes a git repository with these files in one commit on `main`, below `parent`; returns its path. */
export function makeRepository(parent: string, files: Record<string, string | Buffer> = BROKEN_CART): string {
  const directory = mkdtempSync(join(parent, 'repository-'));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), content, { mode: typeof content === 'string' ? 0o644 : 0o755 });
  }
  git(directory, 'init', '-q', '--initial-branch=main');
  git(directory, 'add', '.');
  git(directory, '-c', 'user.name=Tester', '-c', 'user.email=tester@example.com', 'commit', '-qm', 'First version');
  return directory;
}

/** What git says, without the configuration of this machine. */
export function git(directory: string, ...args: string[]): string {
  return execFileSync('git', ['-c', `safe.directory=*`, '-C', directory, ...args], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null', LC_ALL: 'C' },
  });
}
