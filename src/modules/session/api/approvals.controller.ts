import { Body, Controller, Get, HttpCode, Post, Query } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Actor } from '../../../common/auth/actor.js';
import { CurrentActor } from '../../../common/auth/auth.decorators.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import { IdParam } from '../../../common/validation/id.decorator.js';
import { pageRequest } from '../../../common/validation/page.dto.js';
import { AnswerPermissionCommand } from '../app/answer-permission.js';
import { GetPermissionRequestQuery, ListPermissionRequestsQuery } from '../app/permission-requests.queries.js';
import { AnswerApprovalRequest, ApprovalDto, ApprovalListDto, ListApprovalsRequest } from './approvals.dto.js';

const NOT_FOUND = [404, 'approval.not_found'] as const;

/** What agents may not do, or do not know, without a person's word. */
@ApiTags('sessions')
@ApiBearerAuth()
@Controller('orchestrator/approvals')
export class ApprovalsController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Get()
  @ApiOperation({
    operationId: 'listApprovals',
    summary: 'What agents wait for, on the boards that you may see, newest first',
    description: 'Those that nobody has answered yet, unless `state` says otherwise.',
  })
  @ApiOkResponse({ type: ApprovalListDto, description: 'A page of them.' })
  @ApiProblems(400, 401)
  async list(@CurrentActor() actor: Actor, @Query() query: ListApprovalsRequest): Promise<ApprovalListDto> {
    const { board_id, task_id, state: states = ['PENDING'] } = query;
    const filter = { board_id: board_id?.toLowerCase(), task_id: task_id?.toLowerCase(), states };
    const { items, ...page } = await this.queries.execute(
      new ListPermissionRequestsQuery(actor, filter, pageRequest(query)),
    );
    return { approvals: items, ...page };
  }

  @Get(':id')
  @ApiOperation({ operationId: 'getApproval', summary: 'What an agent waits for, or has waited for' })
  @ApiOkResponse({ type: ApprovalDto, description: 'The request, and its answer if there is one.' })
  @ApiProblems(400, 401, NOT_FOUND)
  get(@CurrentActor() actor: Actor, @IdParam('id') id: string): Promise<ApprovalDto> {
    return this.queries.execute(new GetPermissionRequestQuery(actor, id));
  }

  @Post(':id')
  @HttpCode(200)
  @ApiOperation({
    operationId: 'answerApproval',
    summary: 'Give an agent the answer that it waits for (editors)',
    description: 'The first answer counts. The same one by the same user again is no error.',
  })
  @ApiOkResponse({ type: ApprovalDto, description: 'Answered; the agent hears of it as soon as its host can tell.' })
  @ApiProblems(
    ...([[400, 'approval.unknown_option'], 401, [403, 'board.forbidden'], NOT_FOUND] as const),
    [409, 'approval.answered', 'approval.closed'],
    ...[413, 415],
  )
  answer(
    @CurrentActor() actor: Actor,
    @IdParam('id') id: string,
    @Body() { option_id }: AnswerApprovalRequest,
  ): Promise<ApprovalDto> {
    return this.commands.execute(new AnswerPermissionCommand(actor, id, option_id));
  }
}
