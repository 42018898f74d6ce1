import { Body, Controller, Get, Patch, Query } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Actor } from '../../../common/auth/actor.js';
import { CurrentActor, SessionOnly } from '../../../common/auth/auth.decorators.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import { IdParam } from '../../../common/validation/id.decorator.js';
import { pageRequest } from '../../../common/validation/page.dto.js';
import { UpdateUserCommand } from '../app/update-user.js';
import { GetUserQuery, ListUsersQuery, LookUpUserQuery } from '../app/user.queries.js';
import {
  ListUsersRequest,
  LookUpUserRequest,
  UpdateUserRequest,
  UserDto,
  UserListDto,
  UserNameDto,
} from './user.dto.js';

@ApiTags('users')
@ApiBearerAuth()
@Controller('users')
export class UserController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Get()
  @ApiOperation({ operationId: 'listUsers', summary: 'All users, newest first (administrators)' })
  @ApiOkResponse({ type: UserListDto, description: 'A page of users.' })
  @ApiProblems(400, 401, [403, 'user.forbidden'])
  async list(@CurrentActor() actor: Actor, @Query() query: ListUsersRequest): Promise<UserListDto> {
    const { items, ...page } = await this.queries.execute(
      new ListUsersQuery(actor, query.q ?? null, pageRequest(query)),
    );
    return { users: items, ...page };
  }

  @Get('lookup')
  @ApiOperation({
    operationId: 'lookUpUser',
    summary: 'The id of a user whose email or username you know, to add them to a board',
  })
  @ApiOkResponse({ type: UserNameDto, description: 'The user.' })
  @ApiProblems(400, 401, [404, 'user.not_found'])
  lookUp(@Query() { login }: LookUpUserRequest): Promise<UserNameDto> {
    return this.queries.execute(new LookUpUserQuery(login));
  }

  @Get(':userId')
  @ApiOperation({ operationId: 'getUser', summary: 'One user: yourself, or anybody for administrators' })
  @ApiOkResponse({ type: UserDto, description: 'The user.' })
  @ApiProblems(400, 401, [404, 'user.not_found'])
  get(@CurrentActor() actor: Actor, @IdParam('userId') id: string): Promise<UserDto> {
    return this.queries.execute(new GetUserQuery(actor, id));
  }

  @Patch(':userId')
  @SessionOnly()
  @ApiOperation({
    operationId: 'updateUser',
    summary: "Change a user's role, or disable or enable their account (administrators)",
  })
  @ApiOkResponse({ type: UserDto, description: 'The user as it is now.' })
  @ApiProblems(
    ...([400, 401] as const),
    [403, 'user.forbidden', 'auth.session_required'],
    [404, 'user.not_found'],
    [409, 'user.last_admin'],
    413,
    415,
  )
  update(
    @CurrentActor() actor: Actor,
    @IdParam('userId') id: string,
    @Body() { role, disabled }: UpdateUserRequest,
  ): Promise<UserDto> {
    return this.commands.execute(new UpdateUserCommand(actor, id, { role, disabled }));
  }
}
