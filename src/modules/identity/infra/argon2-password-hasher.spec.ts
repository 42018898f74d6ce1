import { beforeAll, describe, expect, it } from 'vitest';
import { Argon2PasswordHasher } from './argon2-password-hasher.js';

describe('Argon2PasswordHasher', () => {
  const hasher = new Argon2PasswordHasher();
  beforeAll(() => hasher.onModuleInit());

  it('hashes with the parameters that OWASP names, each time with another salt', async () => {
    const [one, two] = await Promise.all([hasher.hash('correct horse'), hasher.hash('correct horse')]);
    expect(one).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    expect(one).not.toBe(two);
    expect(one.length).toBeLessThanOrEqual(255);
  });

  it('knows the password again, and no other', async () => {
    const hash = await hasher.hash('pässword 🐎 correct');
    expect(await hasher.verify('pässword 🐎 correct', hash)).toBe(true);
    expect(await hasher.verify('passwort', hash)).toBe(false);
  });

  it('says no where there is no account', async () => {
    expect(await hasher.verify('', null)).toBe(false);
  });
});
