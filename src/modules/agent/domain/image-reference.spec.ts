import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { imageNameProblem, imageReference, imageReferenceProblem, imageTagProblem } from './image-reference.js';

const from = (characters: string) => fc.constantFrom(...characters.split(''));
const word = (characters: string) => fc.string({ unit: from(characters), minLength: 1, maxLength: 12 });
const LOWER = 'abcdefghijklmnopqrstuvwxyz0123456789';

const pathPart = fc
  .tuple(word(LOWER), fc.array(fc.tuple(fc.constantFrom('.', '_', '__', '-', '---'), word(LOWER)), { maxLength: 2 }))
  .map(([first, rest]) => first + rest.flat().join(''));
const path = fc.array(pathPart, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
const hostPart = word(`${LOWER}ABCXYZ`);
const host = fc.oneof(
  fc.constantFrom('localhost', '[::1]', '127.0.0.1'),
  fc.array(hostPart, { minLength: 2, maxLength: 4 }).map((parts) => parts.join('.')),
);
const port = fc.option(fc.integer({ min: 1, max: 65_535 }), { nil: undefined });
const registry = fc.tuple(host, port).map(([name, number]) => (number === undefined ? name : `${name}:${number}`));
const named = fc.oneof(
  // Before a slash a dot makes a host of it.
  path.filter((text) => !/^[^/]*\..*\//.test(text)),
  fc.tuple(registry, path).map(([before, after]) => `${before}/${after}`),
);

describe('names of images', () => {
  it('may be whatever the grammar makes', () => {
    fc.assert(
      fc.property(named, (name) => {
        expect(imageNameProblem(name)).toBeUndefined();
      }),
    );
  });

  it('never hold a tag, a digest, a blank, a control character or an option', () => {
    const bad = fc.constantFrom(':latest', '@sha256:00', ' ', '\n', '\0', '$', '`', ';', '"', '\\', '//', '/', 'É');
    fc.assert(
      fc.property(named, bad, (name, end) => {
        expect(imageNameProblem(name + end)).toBeDefined();
        expect(imageNameProblem(`-${name}`)).toBeDefined();
      }),
    );
  });

  it('get an answer for any text, and never a long one past', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 600 }), (text) => {
        const problem = imageNameProblem(text);
        if (problem === undefined) expect(text.length).toBeLessThanOrEqual(255);
        else expect(problem).toMatch(/^must /);
      }),
    );
    expect(imageNameProblem('a'.repeat(255))).toBeUndefined();
    expect(imageNameProblem('a'.repeat(256))).toMatch(/255/);
  });

  it.each([
    ['a:b', /docker_tag/],
    ['team/agent:1', /docker_tag/],
    ['host:5000/team/agent:1', /docker_tag/],
    ['team/agent@sha256:00', /docker_tag/],
    ['Team', /lower-case/],
    ['team//agent', /parts/],
    ['host:99999/agent', /host/],
    ['host:/agent', /host/],
    ['-host.example/agent', /host/],
    ['[::g]/agent', /host/],
    ['a'.repeat(64), /id/],
    ['', /empty/],
  ])('%s is refused', (name, words) => {
    expect(imageNameProblem(name)).toMatch(words);
  });
});

describe('tags', () => {
  const digest = `sha256:${'0af9'.repeat(16)}`;

  it.each(['latest', 'v1.0.0', '_x', '1', 'A-b.c_d', 'a'.repeat(100), digest])('%s', (tag) => {
    expect(imageTagProblem(tag)).toBeUndefined();
  });

  it.each(['', '-x', '.x', 'a b', 'a/b', 'a'.repeat(101), 'sha256:00', `${digest}0`, `md5:${'0'.repeat(32)}`, 'a\n'])(
    '%j is none',
    (tag) => {
      expect(imageTagProblem(tag)).toMatch(/^must /);
    },
  );

  it('join with a colon, digests with an @', () => {
    expect(imageReference('team/agent', 'v1')).toBe('team/agent:v1');
    expect(imageReference('team/agent', digest)).toBe(`team/agent@${digest}`);
  });

  it('must leave room for the name', () => {
    expect(imageReferenceProblem('a'.repeat(248), 'latest')).toBeUndefined();
    expect(imageReferenceProblem('a'.repeat(249), 'latest')).toMatch(/255/);
  });
});
