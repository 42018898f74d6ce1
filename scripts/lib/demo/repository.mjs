import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const FILES = {
  'package.json': `${JSON.stringify({ name: 'cart', version: '1.0.0', type: 'module', scripts: { test: 'node --test' } }, null, 2)}\n`,
  'src/cart.js': `import { discountPercent } from './discount.js';

/** Price of a cart in cents, after the discount for large orders. */
export function total(items) {
  let sum = 0;
  for (let i = 0; i < items.length; i++) {
    sum += items[i].price * items[i].quantity;
  }
  return Math.round(sum * (1 + discountPercent(sum) / 100));
}
`,
  'src/discount.js': `const STEPS = [
  { from: 10000, percent: 10 },
  { from: 5000, percent: 5 },
];

/** Discount in percent for an order of \`cents\`. */
export function discountPercent(cents) {
  const step = STEPS.find(({ from }) => cents >= from);
  return step ? step.percent : 0;
}
`,
  'test/cart.test.js': `import assert from 'node:assert/strict';
import { test } from 'node:test';
import { total } from '../src/cart.js';

test('adds up small orders', () => {
  assert.equal(total([{ price: 250, quantity: 2 }, { price: 99, quantity: 1 }]), 599);
});

test('gives five percent from 50.00', () => {
  assert.equal(total([{ price: 2500, quantity: 2 }]), 4750);
});

test('gives ten percent from 100.00', () => {
  assert.equal(total([{ price: 12000, quantity: 1 }]), 10800);
});
`,
};

/** A small git repository whose tests fail: a discount is added instead of taken off. */
export function makeRepository(directory) {
  for (const [path, text] of Object.entries(FILES)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
  git(['init', '--quiet', '--initial-branch=main', directory]);
  git(['-C', directory, 'add', '.']);
  git([
    '-C',
    directory,
    '-c',
    'user.name=Demo',
    '-c',
    'user.email=demo@example.com',
    'commit',
    '--quiet',
    '-m',
    'A cart with a bug',
  ]);
  return directory;
}

/** What the agent changed, seen with the original's git directory: git never runs on what an agent has left. */
export function workspaceDiff(repository, workspace) {
  return git([`--git-dir=${join(repository, '.git')}`, `--work-tree=${workspace}`, 'diff', '--no-ext-diff', 'HEAD']);
}

function git(args) {
  const env = { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' };
  return execFileSync('git', args, { encoding: 'utf8', env });
}
