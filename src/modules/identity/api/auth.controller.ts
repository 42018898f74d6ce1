import { Body, Controller, Get, HttpCode, Post } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import {
  ApiBearerAuth,
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiTags,
} from '@nestjs/swagger';
import type { Actor } from '../../../common/auth/actor.js';
import { CurrentActor, CurrentPrincipal, Public, SessionOnly } from '../../../common/auth/auth.decorators.js';
import type { Principal } from '../../../common/auth/principal.js';
import { userGone } from '../../../common/auth/user-gone.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import { ChangePasswordCommand } from '../app/change-password.js';
import { CreateTicketCommand } from '../app/create-ticket.js';
import { RefreshTokensCommand, SignOutCommand } from '../app/refresh-tokens.js';
import { RegisterUserCommand } from '../app/register-user.js';
import { SignInCommand } from '../app/sign-in.js';
import { GetUserQuery } from '../app/user.queries.js';
import {
  ChangePasswordRequest,
  LoginRequest,
  RefreshRequest,
  RegisterRequest,
  SignedInDto,
  TicketDto,
} from './auth.dto.js';
import { UserDto } from './user.dto.js';

/** All that may be wrong with what a caller shows; other operations say 401 for short. */
const REFUSED = [
  401,
  'auth.required',
  'auth.invalid_token',
  'auth.token_expired',
  'auth.session_ended',
  'auth.user_gone',
  'auth.account_disabled',
  'auth.invalid_key',
  'auth.key_expired',
] as const;

@ApiTags('auth')
@Controller('auth')
export class AuthController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Public()
  @Post('register')
  @ApiOperation({ operationId: 'register', summary: 'Make an account; the first one of a server is its administrator' })
  @ApiCreatedResponse({ type: SignedInDto, description: 'The account, signed in.' })
  @ApiProblems(400, [403, 'auth.registration_closed'], [409, 'user.email_taken', 'user.username_taken'], 413, 415)
  register(@Body() { email, username, password }: RegisterRequest): Promise<SignedInDto> {
    return this.commands.execute(new RegisterUserCommand(email, username, password));
  }

  @Public()
  @Post('login')
  @HttpCode(200)
  @ApiOperation({ operationId: 'login', summary: 'Sign in with email or username, and password' })
  @ApiOkResponse({ type: SignedInDto, description: 'Signed in.' })
  @ApiProblems(400, [401, 'auth.bad_credentials', 'auth.account_disabled'], 413, 415, [429, 'auth.too_many_attempts'])
  login(@Body() { email, username, password }: LoginRequest): Promise<SignedInDto> {
    const login = email === undefined ? { username: username ?? '' } : { email };
    return this.commands.execute(new SignInCommand(login, password));
  }

  @Public()
  @Post('refresh')
  @HttpCode(200)
  @ApiOperation({
    operationId: 'refreshTokens',
    summary: 'Exchange a refresh token for a new pair; the old one is used up',
  })
  @ApiOkResponse({ type: SignedInDto, description: 'A new pair of tokens.' })
  @ApiProblems(400, [401, 'auth.invalid_refresh_token', 'auth.refresh_reused', 'auth.account_disabled'], 413, 415)
  refresh(@Body() { refresh_token }: RefreshRequest): Promise<SignedInDto> {
    return this.commands.execute(new RefreshTokensCommand(refresh_token));
  }

  @Public()
  @Post('logout')
  @HttpCode(204)
  @ApiOperation({ operationId: 'logout', summary: 'End the sign-in that a refresh token belongs to' })
  @ApiNoContentResponse({ description: 'Ended, or unknown: no token of that sign-in is good any more.' })
  @ApiProblems(400, 413, 415)
  logout(@Body() { refresh_token }: RefreshRequest): Promise<void> {
    return this.commands.execute(new SignOutCommand(refresh_token));
  }

  @Post('password')
  @SessionOnly()
  @HttpCode(200)
  @ApiBearerAuth()
  @ApiOperation({
    operationId: 'changePassword',
    summary: 'Change your password; every sign-in of yours ends, and a new one begins',
  })
  @ApiOkResponse({ type: SignedInDto, description: 'A new pair of tokens; all others have ended.' })
  @ApiProblems(400, 401, [403, 'auth.wrong_password', 'auth.session_required'], 413, 415, [
    429,
    'auth.too_many_attempts',
  ])
  changePassword(
    @CurrentActor() actor: Actor,
    @Body() { current_password, new_password }: ChangePasswordRequest,
  ): Promise<SignedInDto> {
    return this.commands.execute(new ChangePasswordCommand(actor, current_password, new_password));
  }

  @Post('tickets')
  @ApiBearerAuth()
  @ApiOperation({
    operationId: 'createTicket',
    summary: 'Make a ticket that opens one stream, once, in place of a token in its address',
  })
  @ApiCreatedResponse({ type: TicketDto, description: 'A ticket for the next seconds.' })
  @ApiProblems(400, 401, 413, 415)
  createTicket(@CurrentPrincipal() { actor, expires_at }: Principal): Promise<TicketDto> {
    return this.commands.execute(new CreateTicketCommand(actor, new Date(expires_at * 1000).toISOString()));
  }

  @Get('me')
  @ApiBearerAuth()
  @ApiOperation({ operationId: 'getMe', summary: 'Your own account' })
  @ApiOkResponse({ type: UserDto, description: 'The account that the token or key is of.' })
  @ApiProblems(REFUSED)
  async me(@CurrentActor() actor: Actor): Promise<UserDto> {
    if (actor.user_id === null) throw userGone();
    return this.queries.execute(new GetUserQuery(actor, actor.user_id));
  }
}
