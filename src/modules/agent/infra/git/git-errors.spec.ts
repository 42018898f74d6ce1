import { describe, expect, it } from 'vitest';
import { tellingLines } from './git-errors.js';

const HIDDEN = { directories: ['/srv/k.home/git'], secrets: ['p@ss word', 'abc'] };
const tell = (text: string) => tellingLines(text, HIDDEN);

describe('what people see of git', () => {
  it.each([
    [
      'its errors, not its progress',
      'Cloning\nReceiving objects: 5% (1/2)\nfatal: no such thing',
      'fatal: no such thing',
    ],
    [
      'no credentials of an address',
      "fatal: unable to access 'https://ann:x@h/a'",
      "fatal: unable to access 'https://***@h/a'",
    ],
    ['no secret', 'remote: p@ss word', 'remote: ***'],
    ['no secret as it is in an address', 'remote: p%40ss%20word', 'remote: ***'],
    ['no secret in base64', `remote: ${Buffer.from('p@ss word').toString('base64')}`, 'remote: ***'],
    ['words that are as short as a wrong secret', 'remote: abc', 'remote: abc'],
    ['no path of ours', "fatal: '/srv/k.home/git/repositories/0a.git' is", "fatal: 'the server's copy' is"],
    ['paths of others', "fatal: '/srv/khome/git' is", "fatal: '/srv/khome/git' is"],
    ['nothing that a terminal obeys', 'remote: a\x1b[31mb\x07', 'remote: a [31mb '],
    ['nothing where it says nothing', '', ''],
  ])('%s', (_, text, seen) => expect(tell(text)).toBe(seen));

  it('five lines at most, and a thousand characters', () => {
    expect(tell(`error: ${'x'.repeat(5_000)}\n`)).toHaveLength(1_000);
    expect(tell('error: a\n'.repeat(9)).match(/error/g)).toHaveLength(5);
  });
});
