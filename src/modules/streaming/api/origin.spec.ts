import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { isAllowedOrigin } from './origin.js';

const request = (headers: Record<string, string>, encrypted = false) =>
  ({ headers, socket: { encrypted } }) as unknown as IncomingMessage;

describe('the origin of a page', () => {
  it.each([
    [{ host: 'a:8080' }, false, false, true], // a program
    [{ host: 'a:8080', origin: 'http://a:8080' }, false, false, true],
    [{ host: 'A:8080', origin: 'http://a:8080' }, false, false, true],
    [{ host: 'a', origin: 'https://a' }, true, false, true],
    [{ host: 'a:443', origin: 'https://a' }, true, false, true],
    [{ host: 'a', origin: 'http://a' }, true, false, false],
    [{ host: 'a', origin: 'https://a' }, false, false, true], // TLS may end in front of us
    [{ host: 'a', origin: 'https://a', 'x-forwarded-proto': 'http' }, false, false, true], // anybody may claim that
    [{ host: 'a', origin: 'https://a', 'x-forwarded-proto': 'https' }, false, true, true],
    [{ host: 'a', origin: 'http://a', 'x-forwarded-proto': 'http, https' }, false, true, false],
    [{ host: 'a', origin: 'https://a' }, false, true, true], // a proxy that does not say
    [{ host: 'a', origin: 'null' }, false, false, false],
    [{ origin: 'null' }, false, false, false],
    [{ host: 'null', origin: 'null' }, false, true, false],
    [{ host: 'a', origin: 'http://a.evil' }, false, false, false],
    [{ host: 'a', origin: 'http://evil@a' }, false, false, false],
    [{ host: 'a', origin: 'https://friend' }, false, false, true],
    [{ host: 'a', origin: 'http://friend' }, false, false, false],
  ])('of %j, by TLS %j, behind a proxy %j: %j', (headers, encrypted, behindProxy, allowed) => {
    expect(isAllowedOrigin(request(headers, encrypted), ['https://friend'], behindProxy)).toBe(allowed);
  });
});
