import { Injectable } from '@nestjs/common';
import { Credentials } from '../domain/credentials.js';
import { Redactor } from '../domain/redaction.js';

/** The redactor of each attempt, from what it was given; everything of an attempt passes it before it is stored. */
@Injectable()
export class Redactors {
  constructor(private readonly credentials: Credentials) {}

  /** Of an attempt that was given nothing (yet, or any more): one that changes nothing. */
  async of(agentId: string): Promise<Redactor> {
    return Redactor.of(await this.credentials.secretsOf(agentId));
  }
}
