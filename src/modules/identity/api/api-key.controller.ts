import { Body, Controller, Delete, Get, HttpCode, Post, Query } from '@nestjs/common';
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
import { CurrentActor, SessionOnly } from '../../../common/auth/auth.decorators.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import { IdParam } from '../../../common/validation/id.decorator.js';
import { PageQuery, pageRequest } from '../../../common/validation/page.dto.js';
import { CreateApiKeyCommand, ListApiKeysQuery, RevokeApiKeyCommand } from '../app/api-key.crud.js';
import { ApiKeyListDto, CreateApiKeyRequest, NewApiKeyDto } from './api-key.dto.js';

/** A key's answer is never kept, so these operations take no `Idempotency-Key`: the first answer can't be given again. */
@ApiTags('api keys')
@ApiBearerAuth()
@SessionOnly()
@Controller('api-keys')
export class ApiKeyController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Post()
  @ApiOperation({
    operationId: 'createApiKey',
    summary: 'Make a key for a script, good for all that you may do; it is shown this once',
  })
  @ApiCreatedResponse({ type: NewApiKeyDto, description: 'The new key.' })
  @ApiProblems(400, 401, [403, 'auth.session_required'], [409, 'api_key.limit'], 413, 415)
  create(@CurrentActor() actor: Actor, @Body() { name, expires_at }: CreateApiKeyRequest): Promise<NewApiKeyDto> {
    return this.commands.execute(new CreateApiKeyCommand(actor, name, expires_at ?? null));
  }

  @Get()
  @ApiOperation({ operationId: 'listApiKeys', summary: 'Your own keys, newest first, without those you have deleted' })
  @ApiOkResponse({ type: ApiKeyListDto, description: 'A page of keys.' })
  @ApiProblems(400, 401, [403, 'auth.session_required'])
  async list(@CurrentActor() actor: Actor, @Query() query: PageQuery): Promise<ApiKeyListDto> {
    const { items, ...page } = await this.queries.execute(new ListApiKeysQuery(actor, pageRequest(query)));
    return { api_keys: items, ...page };
  }

  @Delete(':keyId')
  @HttpCode(204)
  @ApiOperation({ operationId: 'deleteApiKey', summary: 'End one of your keys at once' })
  @ApiNoContentResponse({ description: 'Nobody gets in with it any more.' })
  @ApiProblems(400, 401, [403, 'auth.session_required'], [404, 'api_key.not_found'])
  async delete(@CurrentActor() actor: Actor, @IdParam('keyId') id: string): Promise<void> {
    await this.commands.execute(new RevokeApiKeyCommand(actor, id));
  }
}
