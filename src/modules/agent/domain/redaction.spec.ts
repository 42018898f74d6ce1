import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Redactor, REDACTED } from './redaction.js';

const TOKEN = 'ghp_9f3K+x/Zq7"Lm2\\Tv8w=Äß';
const SECRETS = [TOKEN, 'swordfish', 'AIzaSyD-1234567890abcdefghijklmnopqrstu'];
const redactor = Redactor.of(SECRETS);
const log = (data: Record<string, unknown>) =>
  ({ type: 'log', level: 'info', timestamp: '2026-01-09T10:30:00.000Z', data }) as const;

/** Secrets of any kind but words: as they are made by machines. */
const secret = fc
  .tuple(fc.integer({ min: 12, max: 48 }), fc.integer())
  .map(([length, seed]) => createHash('sha512').update(String(seed)).digest('base64').slice(0, length));
const filler = fc.string({ unit: 'grapheme', maxLength: 60 }).map((text) => `${text} `);

const ENCODERS: Record<string, (text: string) => string> = {
  'as it is': (text) => text,
  'in JSON': (text) => JSON.stringify(text),
  'in JSON within JSON': (text) => JSON.stringify(JSON.stringify({ text })),
  'in JSON with slashes escaped': (text) => JSON.stringify(text).replaceAll('/', '\\/'),
  'URL-encoded': encodeURIComponent,
  'URL-encoded in small letters': (text) => encodeURIComponent(text).replaceAll(/%../g, (code) => code.toLowerCase()),
  'as a form': (text) => new URLSearchParams({ text }).toString(),
  'in hex': (text) => Buffer.from(text).toString('hex'),
  'in capital hex': (text) => Buffer.from(text).toString('hex').toUpperCase(),
  'in base64': (text) => Buffer.from(text).toString('base64'),
  'in base64url': (text) => Buffer.from(text).toString('base64url'),
  'in base64, one byte further': (text) => Buffer.from(`:${text}:`).toString('base64'),
  'in base64, two bytes further': (text) => Buffer.from(`a:${text}`).toString('base64'),
  'in base64 of a line': (text) => Buffer.from(`password=${text}\n`).toString('base64'),
};

/** Those that encode the secret and nothing else. */
const ALONE = Object.keys(ENCODERS).filter((how) => !/of a line|within|form/.test(how));

/** Whether any eight characters of it, in that encoding, are still to be seen. */
function leaks(text: string, encoded: string): boolean {
  for (let at = 0; at + 8 <= encoded.length; at++) if (text.includes(encoded.slice(at, at + 8))) return true;
  return false;
}

describe('a secret', () => {
  it.each(Object.keys(ENCODERS))('is taken out where it stands %s', (how) => {
    const encode = ENCODERS[how] ?? String;
    for (const one of SECRETS) {
      const text = redactor.text(`before ${encode(one)} after`);
      expect(text).toContain(REDACTED);
      expect(text).toMatch(/^before .* after$/s);
      expect(text).not.toContain(encode(one));
      expect(leaks(text, one)).toBe(false);
    }
  });

  it('is taken out of any text, in any encoding, and leaves the rest', () => {
    fc.assert(
      fc.property(filler, secret, filler, fc.constantFrom(...ALONE), (before, one, after, how) => {
        const encoded = (ENCODERS[how] ?? String)(one);
        const text = Redactor.of([one]).text(`${before}|${encoded}|${after}`);
        expect(text.startsWith(`${before}|`)).toBe(true);
        expect(text.endsWith(`|${after}`)).toBe(true);
        expect(leaks(text.slice(before.length, -after.length), encoded)).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  it('is taken out where several touch or overlap', () => {
    const both = Redactor.of(['abcdefgh-ijklmnop', 'ijklmnop-qrstuvwx']);
    expect(both.text('1 abcdefgh-ijklmnop-qrstuvwx 2')).toBe(`1 ${REDACTED} 2`);
    expect(both.text('abcdefgh-ijklmnopijklmnop-qrstuvwx')).toBe(REDACTED);
    expect(Redactor.of(['aaaaaaaa']).text('x aaaaaaaaaaaa y')).toBe(`x ${REDACTED} y`);
  });

  it('of several lines is taken out as a whole, line by line, without its newlines, and with others', () => {
    const { privateKey } = generateKeyPairSync('ed25519', {
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
    const rsa = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    }).privateKey;
    for (const key of [privateKey, rsa]) {
      const body = key.split('\n').slice(1, -2);
      const keys = Redactor.of([key]);
      const ways = [
        ...[key, key.replaceAll('\n', '\r\n'), body.join(''), body.join(' '), JSON.stringify({ key })],
        ...[Buffer.from(key).toString('base64'), Buffer.from(key).toString('hex'), encodeURIComponent(key)],
        ...[`${body[0]}`, `the key is: ${body[0]}`],
      ];
      for (const way of ways) {
        const text = keys.text(way);
        expect(text).toContain(REDACTED);
        for (const line of body) for (const encode of Object.values(ENCODERS)) expect(text).not.toContain(encode(line));
      }
      expect(keys.text('-----BEGIN PRIVATE KEY-----')).toBe('-----BEGIN PRIVATE KEY-----');
    }
  });

  it('in a JSON value is taken out of it and of its texts', () => {
    const session = JSON.stringify({ accessToken: 'f00dbabe-1234-cafe', tenantURL: 'https://tenant.example.com/' });
    const sessions = Redactor.of([session]);
    expect(sessions.text(`session ${session}`)).toBe(`session ${REDACTED}`);
    expect(sessions.text('Bearer f00dbabe-1234-cafe')).toBe(`Bearer ${REDACTED}`);
    expect(sessions.text('see https://tenant.example.com/ for')).toBe('see https://tenant.example.com/ for');
  });

  it.each(['', 'ab', '12345'])('of fewer than six characters is a word: %j', (one) => {
    expect(Redactor.of([one]).text(`x ${one} y`)).toBe(`x ${one} y`);
  });
});

describe('a secret that is torn', () => {
  const LONG = 'tok_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789';

  it('between two lines leaves fewer than eight characters of either piece', () => {
    const torn = Redactor.of([LONG]);
    for (let at = 1; at < LONG.length; at++) {
      const [first, second] = [torn.text(`the token: ${LONG.slice(0, at)}`), torn.text(`${LONG.slice(at)} was it`)];
      expect(leaks(first, LONG) || leaks(second, LONG)).toBe(false);
      expect(first).toContain('the token: ');
      expect(second).toContain(' was it');
    }
  });

  it.each([8, 10, 16, 20])('into lines of %i characters leaves none of them', (width) => {
    const torn = Redactor.of([LONG]);
    for (const encode of Object.values(ENCODERS)) {
      const encoded = encode(LONG);
      for (let at = 0; at + width <= encoded.length; at += width) {
        expect(leaks(torn.text(encoded.slice(at, at + width)), LONG)).toBe(false);
      }
    }
    expect(torn.text(`  ${LONG.slice(4, 4 + width)}\r`)).toBe(`  ${REDACTED}\r`);
  });

  it('by a cut in a long line leaves nothing, wherever the cut is', () => {
    const torn = Redactor.of([LONG, 'swordfish']);
    const line = Buffer.from(
      `${'x'.repeat(100)}${LONG}${'y'.repeat(50)}swordfish${Buffer.from(LONG).toString('base64')}zz`,
    );
    const edges = { start: true, end: true };
    const whole = torn.piece(Buffer.alloc(0), line, Buffer.alloc(0), edges).toString();
    expect(whole).toBe(
      `${'x'.repeat(100)}${REDACTED}${'y'.repeat(50)}${REDACTED}==zz`.replace(`${REDACTED}==`, whole.slice(160, -2)),
    );
    for (let cut = 1; cut < line.length; cut++) {
      const [a, b] = [line.subarray(0, cut), line.subarray(cut)];
      const { reach } = torn;
      const pieces = [
        torn.piece(Buffer.alloc(0), a, b.subarray(0, reach), { start: true, end: false }),
        torn.piece(a.subarray(-reach), b, Buffer.alloc(0), { start: false, end: true }),
      ];
      // The same as of the whole, but for a secret across the cut, which is marked in both.
      const [left = '', right = ''] = pieces.map(String);
      const joined =
        left.endsWith(REDACTED) && right.startsWith(REDACTED) ? left + right.slice(REDACTED.length) : left + right;
      expect([whole, left + right]).toContain(joined);
      expect(joined.length).toBeGreaterThanOrEqual(whole.length);
      expect(leaks(left + right, LONG) || (left + right).includes('swordfish')).toBe(false);
    }
  });
});

describe('a message', () => {
  it('loses secrets in its values and keys, however deep', () => {
    const draft = log({ message: `x ${TOKEN}`, deep: [{ [`key ${TOKEN}`]: { list: ['swordfish', 7, null, true] } }] });
    const { data } = redactor.message(draft);
    expect(data).toEqual({
      message: `x ${REDACTED}`,
      deep: [{ [`key ${REDACTED}`]: { list: [REDACTED, 7, null, true] } }],
      metadata: { redacted: true },
    });
  });

  it('keeps all its keys, and what else its metadata says', () => {
    const draft = log({ swordfish: 1, [TOKEN]: 2, '__proto__ swordfish': 3, metadata: { source: 'stdout' } });
    const { data } = redactor.message(draft);
    expect(Object.keys(data)).toEqual([REDACTED, `${REDACTED} 2`, `__proto__ ${REDACTED}`, 'metadata']);
    expect(data['metadata']).toEqual({ source: 'stdout', redacted: true });
  });

  it('without secrets is the very same', () => {
    const draft = log({ message: 'words, fish; sword', list: [TOKEN.slice(0, 5)] });
    expect(redactor.message(draft)).toBe(draft);
    expect(Redactor.none.message(draft)).toBe(draft);
  });

  it('keeps the words that mean something', () => {
    const words = Redactor.of(['completed', 'warning', 'the-task-completed-well']);
    const draft = { ...log({ status: 'completed', summary: 'all completed' }), type: 'result', level: null } as const;
    expect(words.message(draft).data).toMatchObject({ status: 'completed', summary: `all ${REDACTED}` });
  });
});

describe('the quick look', () => {
  it('never misses what the long look finds', () => {
    fc.assert(
      fc.property(
        fc.array(secret, { minLength: 1, maxLength: 5 }),
        filler,
        filler,
        fc.nat(),
        fc.nat(),
        (secrets, a, b, x, y) => {
          const one = secrets[x % secrets.length] ?? '';
          const length = 8 + (y % (one.length - 7));
          const piece = one.slice(x % (one.length - length + 1)).slice(0, length);
          const text = Buffer.from(`${a}${piece}${b}`);
          expect(Redactor.of(secrets).suspects(text)).toBe(true);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('seldom suspects what holds none', () => {
    const secrets = Redactor.of(Array.from({ length: 5 }, () => randomBytes(30).toString('base64')));
    const lines = Array.from({ length: 2_000 }, () => Buffer.from(randomBytes(150).toString('base64')));
    expect(lines.filter((line) => secrets.suspects(line)).length).toBeLessThan(20);
  });
});
