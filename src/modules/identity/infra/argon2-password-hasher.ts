import { randomBytes } from 'node:crypto';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { hash, verify, type Options } from '@node-rs/argon2';
import { PasswordHasher } from '../domain/password-hasher.js';

/** argon2id with 19 MiB, 2 passes, 1 lane: the first choice of the OWASP Password Storage Cheat Sheet. */
const OPTIONS: Options = { algorithm: 2, memoryCost: 19_456, timeCost: 2, parallelism: 1 };

/** argon2id, in PHC form; runs on libuv's threads. */
@Injectable()
export class Argon2PasswordHasher extends PasswordHasher implements OnModuleInit {
  /** The hash of a password that nobody has, for the time it takes to say no. */
  private decoy = '';

  async onModuleInit(): Promise<void> {
    this.decoy = await this.hash(randomBytes(32).toString('hex'));
  }

  hash(password: string): Promise<string> {
    return hash(password, OPTIONS);
  }

  async verify(password: string, stored: string | null): Promise<boolean> {
    return (await verify(stored ?? this.decoy, password)) && stored !== null;
  }
}
