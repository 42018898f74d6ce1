import { IsOptional } from 'class-validator';
import { ApiProperty } from '@nestjs/swagger';
import { IsRetryPolicy, RetryPolicyRequest } from '../../../common/retries/retry-policy.dto.js';
import { MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { IsFlag, IsText, IsWholeNumber } from '../../../common/validation/fields.decorator.js';
import { IsGitBranch, IsRepositoryUrl } from '../../../common/validation/git.decorator.js';
import { IsJsonObject } from '../../../common/validation/is-json-object.decorator.js';
import { IsInactivityTimeout, IsWallClockTimeout } from '../../../common/validation/timeouts.decorator.js';
import { MAX_DEPENDENCIES } from '../domain/task-dependencies.js';
import { IsUuidList } from '../../../common/validation/uuid-list.decorator.js';

const TITLE = { min: 1, max: 500, trim: true };
/** At most 128,000 bytes of UTF-8: Linux hands no longer one than 131,071 to an agent in its environment. */
const DESCRIPTION = { min: 1, max: 32_000 };
const PRIORITY = { min: 0, max: 10 };

/** Names of agent types. */
export const AGENT_TYPE = {
  pattern: /^[a-z0-9][a-z0-9._-]{0,99}$/,
  pattern_message: 'must be the name of an agent type: lower-case letters, digits and . _ -, at most 100',
};

/** A task, for the API document. */
export const EXAMPLE = {
  title: 'Fix the rounding error on the invoice',
  description: 'Sums over 1000 are off by a cent. npm test shows it.',
  agent_type: 'gemini-agent',
  repository_url: 'https://git.example.com/shop/website.git',
  branch: 'main',
  depends_on: ['019ac1a5-7c1e-7000-8000-000000000004'],
};

export class CreateTaskRequest {
  @IsText(TITLE)
  @ApiProperty({ example: EXAMPLE.title })
  title: string;

  /** What the agent is to do. */
  @IsText(DESCRIPTION)
  @ApiProperty({ example: EXAMPLE.description })
  description: string;

  /** More is sooner. */
  @MayBeAbsent()
  @IsWholeNumber(PRIORITY)
  @ApiProperty({ example: 5 })
  priority?: number = 0;

  /** The agent type that works on it unless another one is started. */
  @IsOptional()
  @IsText(AGENT_TYPE)
  @ApiProperty({ example: EXAMPLE.agent_type, nullable: true })
  agent_type?: string | null;

  /** What the agent works on; without any password in it. */
  @IsOptional()
  @IsRepositoryUrl()
  @ApiProperty({ example: EXAMPLE.repository_url, nullable: true })
  repository_url?: string | null;

  /** The repository's default branch when there is none. */
  @IsOptional()
  @IsGitBranch()
  @ApiProperty({ example: EXAMPLE.branch, nullable: true })
  branch?: string | null;

  /** Seconds of silence after which its agent is ended; null or absent leaves it to the agent type. */
  @IsInactivityTimeout()
  inactivity_timeout_seconds?: number | null;

  /** Seconds that its agent may run, pauses not counted; null or absent leaves it to the agent type. */
  @IsWallClockTimeout()
  wall_clock_timeout_seconds?: number | null;

  /** When its failed attempts are tried again; null or absent leaves it to the agent type. */
  @IsRetryPolicy()
  retry_policy?: RetryPolicyRequest | null;

  /** Your own data: at most 32 KiB, 8 levels, 200 keys. */
  @MayBeAbsent()
  @IsJsonObject()
  @ApiProperty({ example: { ticket: 'SHOP-17' } })
  metadata?: Record<string, unknown> = {};

  /** Tasks of the same board that have to be COMPLETED before it is started. */
  @MayBeAbsent()
  @IsUuidList({ max: MAX_DEPENDENCIES })
  @ApiProperty({ example: EXAMPLE.depends_on })
  depends_on?: string[] = [];

  /** Queue a run at once; needs `agent_type`. It waits there while the task depends on others. */
  @MayBeAbsent()
  @IsFlag()
  @ApiProperty({ example: false })
  auto_start?: boolean = false;
}

/** What is absent stays as it is; null empties. The state is changed elsewhere. */
export class UpdateTaskRequest {
  @MayBeAbsent()
  @IsText(TITLE)
  @ApiProperty({ example: EXAMPLE.title })
  title?: string;

  @MayBeAbsent()
  @IsText(DESCRIPTION)
  @ApiProperty({ example: EXAMPLE.description })
  description?: string;

  /** More is sooner. */
  @MayBeAbsent()
  @IsWholeNumber(PRIORITY)
  @ApiProperty({ example: 5 })
  priority?: number;

  @IsOptional()
  @IsText(AGENT_TYPE)
  @ApiProperty({ example: EXAMPLE.agent_type, nullable: true })
  agent_type?: string | null;

  @IsOptional()
  @IsRepositoryUrl()
  @ApiProperty({ example: EXAMPLE.repository_url, nullable: true })
  repository_url?: string | null;

  @IsOptional()
  @IsGitBranch()
  @ApiProperty({ example: EXAMPLE.branch, nullable: true })
  branch?: string | null;

  /** Seconds of silence after which its agent is ended, from its next attempt on; null leaves it to the agent type. */
  @IsInactivityTimeout()
  inactivity_timeout_seconds?: number | null;

  /** Seconds that its agent may run, pauses not counted, from its next attempt on; null leaves it to the agent type. */
  @IsWallClockTimeout()
  wall_clock_timeout_seconds?: number | null;

  /** When its failed attempts are tried again, from its next run on; null leaves it to the agent type. */
  @IsRetryPolicy()
  retry_policy?: RetryPolicyRequest | null;

  /** Replaces all of it. */
  @MayBeAbsent()
  @IsJsonObject()
  @ApiProperty({ example: { ticket: 'SHOP-17' } })
  metadata?: Record<string, unknown>;

  /** Replaces the list. Tasks of the same board, without a cycle. */
  @MayBeAbsent()
  @IsUuidList({ max: MAX_DEPENDENCIES })
  @ApiProperty({ example: EXAMPLE.depends_on })
  depends_on?: string[];
}
