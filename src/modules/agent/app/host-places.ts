import { Inject, Injectable } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { FindHostNameQuery } from '../../orchestrator/contracts/host.queries.js';

/** Files, and the pipes of agents, are where their host is: whoever asks another one is told where. */
@Injectable()
export class HostPlaces {
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly queries: QueryBus,
  ) {}

  /** Null: from before hosts were told apart, so there is no other. @throws DomainError `host.elsewhere` */
  async requireHere(host_id: string | null | undefined, what: string): Promise<void> {
    if (host_id === null || host_id === undefined || host_id === this.config.host_id) return;
    const name = await this.queries.execute(new FindHostNameQuery(host_id));
    const where = name === null ? 'on a host that is not known here any more' : `on the host ${name}`;
    const text = `${what} is ${where}, and this process serves another one. Ask the server there, if it serves clients.`;
    throw new DomainError('unavailable', 'host.elsewhere', text, { host_id, host_name: name });
  }
}
