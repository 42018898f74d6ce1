import { describe, expect, it } from 'vitest';
import { RefreshToken } from './refresh-token.entity.js';

const NOW = new Date('2026-11-22T12:00:00.000Z');

function token(fields: Partial<RefreshToken>): RefreshToken {
  return Object.assign(
    new RefreshToken(),
    { expires_at: new Date(NOW.getTime() + 1), used_at: null, revoked_at: null },
    fields,
  );
}

describe('RefreshToken', () => {
  it('is used once', () => {
    const fresh = token({});
    expect(fresh.use(NOW)).toBe('used');
    expect(fresh.used_at).toEqual(NOW);
    expect(fresh.use(NOW)).toBe('reused');
  });

  it.each([
    ['revoked', { revoked_at: NOW }],
    ['expired', { expires_at: NOW }],
  ])('is dead when %s', (_, fields) => {
    const dead = token(fields);
    expect(dead.use(NOW)).toBe('dead');
    expect(dead.used_at).toBeNull();
  });

  it('is known as reused even when its family was revoked before', () => {
    expect(token({ used_at: NOW, revoked_at: NOW }).use(NOW)).toBe('reused');
  });
});
