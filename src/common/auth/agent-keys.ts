import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { parse as parseUuid, stringify as formatUuid } from 'uuid';
import { CONFIG } from '../config/config.module.js';
import type { Config } from '../config/config.js';

/** What an agent's key begins with. */
export const AGENT_KEY_PREFIX = 'kda_';

/** Tells these keys from anything else that is signed with a key of the same secret. */
const LABEL = 'kandev agent key, version 1';
const ID_BYTES = 16;
const MAC_BYTES = 32;
/** 16 + 32 bytes are exactly 64 characters of base64url, so that a key can be written in one way only. */
const SHAPE = /^kda_([\w-]{64})$/;

/**
 * The agent instances' own keys: the instance's id and a MAC of it. Nothing is stored, and a launch that is repeated
 * after a crash gives the same key. Whether the instance still works is not to be seen from its key.
 */
@Injectable()
export class AgentKeys {
  private readonly secret: Buffer;

  constructor(@Inject(CONFIG) { jwt_secret }: Config) {
    this.secret = Buffer.from(hkdfSync('sha256', jwt_secret, '', LABEL, MAC_BYTES));
  }

  /** The key of an instance (a UUID), always the same one. */
  of(agent_id: string): string {
    const id = parseUuid(agent_id);
    return AGENT_KEY_PREFIX + Buffer.concat([id, this.mac(id)]).toString('base64url');
  }

  /** The id of the instance whose key it is; null for what this server has not made. */
  holder(key: string): string | null {
    const text = SHAPE.exec(key)?.[1];
    if (text === undefined) return null;
    const bytes = Buffer.from(text, 'base64url');
    const id = bytes.subarray(0, ID_BYTES);
    return timingSafeEqual(bytes.subarray(ID_BYTES), this.mac(id)) ? formatUuid(id) : null;
  }

  private mac(id: Uint8Array): Buffer {
    return createHmac('sha256', this.secret).update(id).digest();
  }
}
