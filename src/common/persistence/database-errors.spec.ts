import { describe, expect, it } from 'vitest';
import { isDatabaseAway, isRefused } from './database-errors.js';

const withCode = (code: string) => Object.assign(new Error('it failed'), { code });

describe('errors of the database', () => {
  it.each([
    ...['08006', '40001', '40P01', '53300', '57P01', '57014', '58000', '58030', '58P01', '25P03', '25006'],
    ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN'],
    ...['EHOSTUNREACH', 'EHOSTDOWN', 'ENETUNREACH', 'ENETDOWN'],
  ])('%s: it is away, and is waited for', (code) => {
    expect(isDatabaseAway(withCode(code))).toBe(true);
    expect(isRefused(withCode(code))).toBe(false);
  });

  it.each([
    'Query read timeout',
    'Connection terminated unexpectedly',
    'Connection terminated due to connection timeout',
  ])('"%s": the same', (message) => {
    expect(isDatabaseAway(new Error(message))).toBe(true);
  });

  it.each(['21000', '22003', '22P05', '23505', '23514', '54000'])('%s: what was sent is refused', (code) => {
    expect(isDatabaseAway(withCode(code))).toBe(false);
    expect(isRefused(withCode(code))).toBe(true);
  });

  it.each(['42601', '25001', 'EMFILE', ''])('"%s": neither', (code) => {
    expect(isDatabaseAway(withCode(code))).toBe(false);
    expect(isRefused(withCode(code))).toBe(false);
  });
});
