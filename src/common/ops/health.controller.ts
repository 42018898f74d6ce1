import { Controller, Get } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { SkipThrottle } from '@nestjs/throttler';
import { MikroORM } from '@mikro-orm/postgresql';
import { Public } from '../auth/auth.decorators.js';
import { DomainError } from '../errors/domain-error.js';

/** For load balancers and orchestrators: stands outside the API and needs no token. */
@Public()
@SkipThrottle()
@ApiExcludeController()
@Controller('health')
export class HealthController {
  constructor(private readonly orm: MikroORM) {}

  /** The process answers. */
  @Get('live')
  live(): { status: 'ok' } {
    return { status: 'ok' };
  }

  /** The server can do its work: its database answers. */
  @Get('ready')
  async ready(): Promise<{ status: 'ok'; checks: { database: 'ok' } }> {
    try {
      await this.orm.em.fork().execute('select 1');
    } catch {
      throw new DomainError('unavailable', 'server.not_ready', 'The database does not answer.', {
        checks: { database: 'down' },
      });
    }
    return { status: 'ok', checks: { database: 'ok' } };
  }
}
