import { Controller, Get, Query } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Actor } from '../auth/actor.js';
import { CurrentActor } from '../auth/auth.decorators.js';
import { ApiProblems } from '../http/api-problems.decorator.js';
import { pageRequest } from '../validation/page.dto.js';
import { AuditEventListDto, ListAuditRequest } from './audit.dto.js';
import { ListAuditQuery } from './audit.queries.js';

@ApiTags('audit')
@ApiBearerAuth()
@Controller('audit')
export class AuditController {
  constructor(private readonly queries: QueryBus) {}

  @Get()
  @ApiOperation({
    operationId: 'listAudit',
    summary: 'Who did what that matters for security, newest first (administrators)',
  })
  @ApiOkResponse({ type: AuditEventListDto, description: 'A page of the audit log.' })
  @ApiProblems(400, 401, [403, 'audit.forbidden'])
  async list(@CurrentActor() actor: Actor, @Query() query: ListAuditRequest): Promise<AuditEventListDto> {
    const { action, user_id, subject_id, created_after, created_before } = query;
    const filter = { action, user_id, subject_id, created_after, created_before };
    const { items, ...page } = await this.queries.execute(new ListAuditQuery(actor, filter, pageRequest(query)));
    return { events: items, ...page };
  }
}
