import { v4 as uuidv4, v7 as uuidv7 } from 'uuid';
import { describe, expect, it } from 'vitest';
import type { Config } from '../config/config.js';
import { AgentKeys } from './agent-keys.js';

const keysOf = (jwt_secret: string) => new AgentKeys({ jwt_secret } as Config);
const keys = keysOf('a secret for tests that is long enough');

describe('AgentKeys', () => {
  it('knows the holder of a key again, and makes the same one after a restart', () => {
    for (const id of [uuidv7(), uuidv4()]) {
      const key = keys.of(id);
      expect(key).toMatch(/^kda_[\w-]{64}$/);
      expect(keys.holder(key)).toBe(id);
      expect(keysOf('a secret for tests that is long enough').of(id.toUpperCase())).toBe(key);
    }
  });

  it('does not know a key with any one character changed, or anything around it', () => {
    const key = keys.of(uuidv7());
    for (let at = 4; at < key.length; at++) {
      const other = key[at] === 'A' ? 'B' : 'A';
      expect(keys.holder(key.slice(0, at) + other + key.slice(at + 1))).toBeNull();
    }
    for (const wrong of ['', 'kda_', `${key} `, ` ${key}`, `${key}=`, `${key}A`, key.slice(0, -1), key.slice(4)]) {
      expect(keys.holder(wrong)).toBeNull();
    }
  });

  it('does not know keys of a server with another secret', () => {
    const id = uuidv7();
    expect(keys.holder(keysOf('another secret for tests that is as long').of(id))).toBeNull();
  });
});
