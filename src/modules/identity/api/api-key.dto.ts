import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { Check, MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { IsText } from '../../../common/validation/fields.decorator.js';
import { IsTime } from '../../../common/validation/query-fields.decorator.js';
import type { ApiKeyRecord } from '../app/api-key.js';

@ApiSchema({ name: 'CreateApiKey' })
export class CreateApiKeyRequest {
  /** What the key is for. */
  @IsText({ min: 1, max: 100, trim: true })
  @ApiProperty({ example: 'nightly import' })
  name: string;

  /** In the future; without it the key never expires. */
  @MayBeAbsent()
  @IsTime()
  @Check('isFuture', (value) => (isPast(value) ? 'must be in the future' : undefined))
  @ApiProperty({ required: false, example: '2027-11-22T12:00:00.000Z' })
  expires_at?: string;
}

@ApiSchema({ name: 'ApiKey' })
export class ApiKeyDto implements ApiKeyRecord {
  @ApiProperty({ format: 'uuid', example: '019ac1a5-7c1e-7000-8000-000000000002' })
  id: string;

  @ApiProperty({ example: 'nightly import' })
  name: string;

  /** The first characters, to recognise the key by. */
  @ApiProperty({ example: 'kdv_Zk3mJrV9' })
  key_prefix: string;

  /** Null for a key that never expires. */
  @ApiProperty({ type: 'string', format: 'date-time', nullable: true, example: null })
  expires_at: string | null;

  /** To the hour; null when it was never used. */
  @ApiProperty({ type: 'string', format: 'date-time', nullable: true, example: '2026-11-22T12:00:00.000Z' })
  last_used_at: string | null;

  @ApiProperty({ format: 'date-time', example: '2026-11-22T12:00:00.000Z' })
  created_at: string;
}

@ApiSchema({ name: 'NewApiKey' })
export class NewApiKeyDto extends ApiKeyDto {
  /** For `Authorization: Bearer …`. Keep it now: it is not shown again. */
  @ApiProperty({ example: 'kdv_Zk3mJrV9sLZ0y4hVnC3m0YF0eT6zq1o2w8kXcB7uRrD' })
  key: string;
}

@ApiSchema({ name: 'ApiKeyList' })
export class ApiKeyListDto {
  api_keys: ApiKeyDto[];

  @ApiProperty({ type: 'integer', example: 1 })
  total: number;

  /** Asks for the next page; null on the last one. */
  @ApiProperty({ type: 'string', nullable: true, example: null })
  next_cursor: string | null;
}

function isPast(value: unknown): boolean {
  return typeof value === 'string' && Date.parse(value) <= Date.now();
}
