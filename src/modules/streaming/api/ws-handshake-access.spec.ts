import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { clientAddress } from './ws-handshake-access.js';

const request = (forwarded?: string | string[]) =>
  ({ headers: { 'x-forwarded-for': forwarded }, socket: { remoteAddress: '10.0.0.1' } }) as unknown as IncomingMessage;

describe('the address of whoever opens a socket', () => {
  it.each([
    [undefined, 0, '10.0.0.1'],
    ['1.2.3.4', 0, '10.0.0.1'], // a client may claim anything
    ['6.6.6.6, 1.2.3.4', 1, '1.2.3.4'],
    [['6.6.6.6', '1.2.3.4'], 1, '1.2.3.4'],
    ['6.6.6.6, 1.2.3.4, 10.0.0.2', 2, '1.2.3.4'],
    ['2001:db8::1', 1, '2001:db8::1'],
    [undefined, 3, '10.0.0.1'],
    ['nonsense', 1, '10.0.0.1'],
  ])('is known behind proxies: %j, %i of them', (forwarded, proxies, address) => {
    expect(clientAddress(request(forwarded), proxies)).toBe(address);
  });
});
