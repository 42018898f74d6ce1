import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NameServer } from '../../../test/support/name-server.js';
import { AddressPolicy } from './address-policy.js';
import { hostName } from './host-name.js';
import { NameLookup, parseHosts } from './name-lookup.js';

const strict = new AddressPolicy([]);

describe('an address', () => {
  it.each([
    ...['8.8.8.8', '1.1.1.1', '100.63.255.255', '100.128.0.0', '172.15.255.255', '172.32.0.1', '192.167.255.255'],
    ...['198.17.255.255', '198.20.0.0', '223.255.255.255', '169.253.255.255', '11.0.0.0', '126.255.255.255'],
    ...['2606:4700:4700::1111', '2a00:1450:4001:829::200e', '::ffff:8.8.8.8', '64:ff9b::808:808', '2002:808:808::1'],
  ])('that is public may be connected to: %s', (address) => {
    expect(strict.check(address)).toBeNull();
  });

  it.each([
    ...['0.0.0.0', '0.1.2.3', '10.0.0.1', '10.255.255.255', '100.64.0.1', '100.127.255.255', '127.0.0.1', '127.9.9.9'],
    ...['169.254.0.1', '169.254.169.254', '172.16.0.1', '172.31.255.255', '192.0.0.1', '192.0.2.1', '192.168.1.1'],
    ...['198.18.0.1', '198.19.255.255', '198.51.100.7', '203.0.113.7', '224.0.0.1', '239.255.255.255', '240.0.0.1'],
    ...['255.255.255.255', '168.63.129.16', '100.100.100.200', '192.88.99.1'],
    ...['::', '::1', '0:0:0:0:0:0:0:1', 'fc00::1', 'fd00:ec2::254', 'fd12:3456::1', 'fe80::1', 'febf::1', 'fec0::1'],
    ...['ff02::1', '2001::1', '2001:db8::1', '3fff::1', '100::1', '5f00::1', '4000::1', '64:ff9b:1::1'],
  ])('of another kind may not: %s', (address) => {
    expect(strict.check(address)).toEqual(expect.stringMatching(/^an? /));
  });

  it.each([
    ...['::ffff:127.0.0.1', '::ffff:7f00:1', '0:0:0:0:0:ffff:7f00:0001', '::FFFF:169.254.169.254', '::ffff:10.0.0.1'],
    ...['::127.0.0.1', '::7f00:1', '::a9fe:a9fe', '64:ff9b::127.0.0.1', '64:ff9b::a9fe:a9fe', '2002:7f00:1::'],
    ...['2002:a9fe:a9fe::1', '2002:c0a8:101::', '2001:0:7f00:1::', '::ffff:0:127.0.0.1'],
  ])('in disguise may not: %s', (address) => {
    expect(strict.check(address)).toEqual(expect.stringMatching(/^an? /));
  });

  it.each([
    ...['127.1', '0177.0.0.1', '0x7f.0.0.1', '2130706433', '0x7f000001', '127.0.0.01', '1.2.3', '1.2.3.4.5', ''],
    ...['fe80::1%eth0', '::1%lo', '8.8.8.8%1', '8.8.8.8 ', ' 8.8.8.8', '[::1]', '8.8.8.8:80', 'example.com', '١.1.1.1'],
  ])('in an odd notation is none: %s', (address) => {
    expect(strict.check(address)).toBe('no IP address in the usual notation');
  });

  it('may be allowed by a range', () => {
    const policy = new AddressPolicy(['127.0.0.1/32', '10.1.0.0/16', 'fd00::/8']);
    for (const address of ['127.0.0.1', '::ffff:127.0.0.1', '10.1.255.1', 'fd12::1'])
      expect(policy.check(address)).toBeNull();
    for (const address of ['127.0.0.2', '10.2.0.1', '::1', 'fc00::1', '64:ff9b::7f00:1', '2002:7f00:1::', '::7f00:1'])
      expect(policy.check(address)).not.toBeNull();
  });

  it('of a metadata service has to be allowed by itself', () => {
    const wide = new AddressPolicy(['169.254.0.0/16', 'fd00::/8', '0.0.0.0/0', '::/0']);
    for (const address of ['169.254.169.254', '::ffff:a9fe:a9fe', 'fd00:ec2::254', '168.63.129.16'])
      expect(wide.check(address)).toBe('an address that clouds keep for themselves');
    expect(wide.check('169.254.1.1')).toBeNull();
    expect(new AddressPolicy(['169.254.169.254/32']).check('169.254.169.254')).toBeNull();
    expect(new AddressPolicy(['fd00:ec2::254/128']).check('fd00:ec2::254')).toBeNull();
  });
});

describe('the name of a host', () => {
  it.each([
    ['Example.COM', 'example.com'],
    ['example.com.', 'example.com'],
    ['bücher.example', 'xn--bcher-kva.example'],
    ['my_service', 'my_service'],
    ['1.2.3.4.example', '1.2.3.4.example'],
    ['ｅxample.com', 'example.com'],
  ])('%s is %s', (text, name) => expect(hostName(text)).toBe(name));

  it.each([
    ...['', '.', 'a..b', '-a.example', 'a b', 'a/b', 'a%2eb', 'a:80', 'u@a', '[::1]', '127.1', '2130706433', '0x7f.1'],
    ...[
      '0x7f000001',
      '0177.0.0.1',
      '１２７.0.0.1',
      'a.0x',
      'example.com..',
      `${'a'.repeat(64)}.example`,
      'a\0b',
      'a\nb',
    ],
    ...[`${'a.'.repeat(127)}example`, '*.example.com', '169.254.169.254'],
  ])('%j is none', (text) => expect(hostName(text)).toBeNull());
});

describe('resolving', () => {
  let server: NameServer;
  let policy: AddressPolicy;

  beforeAll(async () => {
    server = await NameServer.start({
      'public.test': [['9.9.9.9']],
      'private.test': [['10.0.0.1', '127.0.0.1']],
      'mixed.test': [['10.0.0.1', '9.9.9.9', '169.254.169.254']],
      'rebinding.test': [['9.9.9.9'], ['127.0.0.1']],
    });
    server.silent.add('silent.test');
    policy = new AddressPolicy([], new NameLookup([server.address]));
  });
  afterAll(() => server.stop());

  it('gives the public addresses of a name, and none of the others', async () => {
    expect(await policy.resolve('public.test')).toEqual(['9.9.9.9']);
    expect(await policy.resolve('PUBLIC.test.')).toEqual(['9.9.9.9']);
    expect(await policy.resolve('mixed.test')).toEqual(['9.9.9.9']);
  });

  it('refuses a name that has private addresses only, without naming them', async () => {
    await expect(policy.resolve('private.test')).rejects.toMatchObject({
      reason: 'not_public',
      message: 'private.test resolves to a private address, which KANDEV_ALLOWED_PRIVATE_RANGES does not allow',
    });
  });

  it('looks at each answer, whatever the last one was', async () => {
    expect(await policy.resolve('rebinding.test')).toEqual(['9.9.9.9']);
    await expect(policy.resolve('rebinding.test')).rejects.toMatchObject({ reason: 'not_public' });
  });

  it('refuses what is unknown, no name, and who does not answer', async () => {
    await expect(policy.resolve('unknown.test')).rejects.toMatchObject({ reason: 'not_found' });
    await expect(policy.resolve('a b')).rejects.toMatchObject({ reason: 'invalid' });
    await expect(policy.resolve('2130706433')).rejects.toMatchObject({ reason: 'invalid' });
    await expect(policy.resolve('silent.test')).rejects.toMatchObject({ reason: 'timeout' });
  }, 10_000);

  it('takes addresses as they are', async () => {
    expect(await strict.resolve('8.8.8.8')).toEqual(['8.8.8.8']);
    expect(await strict.resolve('[::ffff:8.8.8.8]')).toEqual(['8.8.8.8']);
    expect(await new AddressPolicy(['::1/128']).resolve('[::1]')).toEqual(['0:0:0:0:0:0:0:1']);
    await expect(strict.resolve('[::1]')).rejects.toMatchObject({ reason: 'not_public' });
    await expect(strict.resolve('127.0.0.1')).rejects.toThrow(/^127.0.0.1 is a loopback address, /);
  });

  it('knows the hosts file', async () => {
    await expect(strict.resolve('localhost')).rejects.toMatchObject({ reason: 'not_public' });
    expect(await new AddressPolicy(['127.0.0.1/32']).resolve('LOCALHOST')).toEqual(['127.0.0.1']);
    const text = '127.0.0.1\tlocalhost me # comment\n::1 localhost\n# 1.2.3.4 no\nfoo bar\n';
    expect(parseHosts(text)).toEqual(
      new Map([
        ['localhost', ['127.0.0.1', '::1']],
        ['me', ['127.0.0.1']],
      ]),
    );
  });
});
