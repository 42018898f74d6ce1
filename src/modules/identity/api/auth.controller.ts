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
import { CurrentActor, Public } from '../../../common/auth/auth.decorators.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import { GetAccountQuery } from '../app/account.queries.js';
import { RefreshTokensCommand, SignOutCommand } from '../app/refresh-tokens.js';
import { RegisterUserCommand } from '../app/register-user.js';
import { SignInCommand } from '../app/sign-in.js';
import { LoginRequest, RefreshRequest, RegisterRequest, SignedInDto, UserDto } from './auth.dto.js';

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
  @ApiProblems(400, [401, 'auth.bad_credentials'], 413, 415)
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
  @ApiProblems(400, [401, 'auth.invalid_refresh_token', 'auth.refresh_reused'], 413, 415)
  refresh(@Body() { refresh_token }: RefreshRequest): Promise<SignedInDto> {
    return this.commands.execute(new RefreshTokensCommand(refresh_token));
  }

  @Public()
  @Post('logout')
  @HttpCode(204)
  @ApiOperation({ operationId: 'logout', summary: 'End the sign-in that a refresh token belongs to' })
  @ApiNoContentResponse({ description: 'Ended, or unknown: no refresh token of that sign-in is good any more.' })
  @ApiProblems(400, 413, 415)
  logout(@Body() { refresh_token }: RefreshRequest): Promise<void> {
    return this.commands.execute(new SignOutCommand(refresh_token));
  }

  @Get('me')
  @ApiBearerAuth()
  @ApiOperation({ operationId: 'getMe', summary: 'Your own account' })
  @ApiOkResponse({ type: UserDto, description: 'The account of the access token.' })
  @ApiProblems([401, 'auth.required', 'auth.invalid_token', 'auth.token_expired', 'auth.user_gone'])
  me(@CurrentActor() actor: Actor): Promise<UserDto> {
    return this.queries.execute(new GetAccountQuery(actor));
  }
}
