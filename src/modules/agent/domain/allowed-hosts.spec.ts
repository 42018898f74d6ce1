import { describe, expect, it } from 'vitest';
import { allowedHostProblem, matchesAllowedHost } from './allowed-hosts.js';

describe('an entry of allowed_hosts', () => {
  it.each([
    ...[
      'example.com',
      'EXAMPLE.com',
      'example.com.',
      'example.com:8443',
      '*.example.com',
      '*.example.com:8443',
      'gitea',
    ],
    ...['bücher.example', '*.bücher.example', 'xn--bcher-kva.example', 'my_service:1', '192.0.2.1', '192.0.2.1:65535'],
    ...['[2001:db8::1]', '[2001:db8::1]:443'],
  ])('may be %s', (entry) => expect(allowedHostProblem(entry)).toBeUndefined());

  it.each([
    ['', 'must not be empty'],
    [7, 'must be a text'],
    [null, 'must be a text'],
    ['a'.repeat(321), 'must have at most 320 characters'],
    ['https://example.com', 'must be a host without a scheme such as https://'],
    ['example.com/path', 'must be a host without a path, query or user'],
    ['user@example.com', 'must be a host without a path, query or user'],
    ['*', 'must name a host; for all of them set network to open'],
    ['*.com', 'must have a domain of at least two parts after "*."'],
    ['*.com.', 'must have a domain of at least two parts after "*."'],
    ['example.com:0', 'must have a port from 1 to 65535 after the ":"'],
    ['example.com:', 'must have a port from 1 to 65535 after the ":"'],
    ['example.com:65536', 'must have a port from 1 to 65535 after the ":"'],
    ['a*.example.com', 'must not have a "*" but in front, as in *.example.com'],
    ['*.*.example.com', 'must not have a "*" but in front, as in *.example.com'],
  ])('may not be %j', (entry, problem) => expect(allowedHostProblem(entry)).toBe(problem));

  it.each([
    ...['127.1', '0x7f000001', '2130706433', '0177.0.0.1', '2001:db8::1', '[::1', '::1]', '[fe80::1%eth0]', 'a b'],
    ...['example.com\n', '\nexample.com', 'a..b', '-a.example', '[example.com]', '*.192.0.2.1', 'example.com:1:2'],
    ...['example.com:+1', 'example.com: 1', '%65xample.com', 'example,com', '.', 'a\0b'],
  ])('may not be %j either', (entry) => expect(allowedHostProblem(entry)).toMatch(/^must /));
});

describe('a list of allowed hosts', () => {
  const list = [
    'example.com',
    '*.example.org',
    'registry.example:5000',
    'bücher.example',
    '192.0.2.1',
    '[2001:db8::1]',
  ];

  it.each([
    ...([
      ['example.com', 80],
      ['example.com', 443],
      ['EXAMPLE.COM', 443],
      ['example.com.', 443],
    ] as const),
    ...([
      ['a.example.org', 443],
      ['a.b.example.org', 80],
      ['registry.example', 5000],
    ] as const),
    ...([
      ['xn--bcher-kva.example', 443],
      ['BÜCHER.example', 443],
      ['192.0.2.1', 80],
      ['::ffff:192.0.2.1', 80],
    ] as const),
    ...([
      ['2001:db8::1', 443],
      ['[2001:DB8:0:0::1]', 443],
    ] as const),
  ])('lets through to %s:%i', (host, port) => expect(matchesAllowedHost(list, host, port)).toBe(true));

  it.each([
    ...([
      ['example.com', 22],
      ['a.example.com', 443],
      ['notexample.com', 443],
      ['example.com.evil.test', 443],
    ] as const),
    ...([
      ['example.org', 443],
      ['evilexample.org', 443],
      ['.example.org', 443],
      ['a..example.org', 443],
    ] as const),
    ...([
      ['registry.example', 443],
      ['192.0.2.2', 80],
      ['2001:db8::2', 443],
      ['', 80],
      ['*.example.org', 443],
    ] as const),
    ...([
      ['evil.test\0.example.org', 443],
      ['evil.test/.example.org', 443],
      ['a@example.com', 443],
    ] as const),
    ...([
      ['example.com:443', 443],
      ['3221225985', 80],
      ['0xc0000201', 80],
      ['192.0.513', 80],
    ] as const),
  ])('keeps %j:%i out', (host, port) => expect(matchesAllowedHost(list, host, port)).toBe(false));

  it('lets nothing through while it is empty, or has what is no entry', () => {
    expect(matchesAllowedHost([], 'example.com', 443)).toBe(false);
    expect(matchesAllowedHost(['*', '*.com', ''], 'example.com', 443)).toBe(false);
  });
});
