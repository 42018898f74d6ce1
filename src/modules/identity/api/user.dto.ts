import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import type { UserRole } from '../../../common/auth/actor.js';
import { MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { IsFlag, IsOneOf, IsText } from '../../../common/validation/fields.decorator.js';
import { PageQuery } from '../../../common/validation/page.dto.js';
import type { Account } from '../app/account.js';
import type { UserName } from '../contracts/user.queries.js';

const USER_ID = '019ac1a5-7c1e-7000-8000-000000000001';
const ROLES: UserRole[] = ['admin', 'member'];

@ApiSchema({ name: 'User' })
export class UserDto implements Account {
  @ApiProperty({ format: 'uuid', example: USER_ID })
  id: string;

  @ApiProperty({ example: 'ann@example.com' })
  email: string;

  @ApiProperty({ example: 'ann' })
  username: string;

  /** On the whole server; roles on boards are apart. */
  @ApiProperty({ enum: ROLES, enumName: 'UserRole', example: 'member' })
  role: UserRole;

  /** Whether the account is shut: nobody can sign in to it, and its keys are good for nothing. */
  @ApiProperty({ example: false })
  disabled: boolean;

  @ApiProperty({ format: 'date-time', example: '2026-11-22T12:00:00.000Z' })
  created_at: string;

  @ApiProperty({ format: 'date-time', example: '2026-11-22T12:00:00.000Z' })
  updated_at: string;
}

@ApiSchema({ name: 'UserList' })
export class UserListDto {
  users: UserDto[];

  /** Of all users that pass the filter. */
  @ApiProperty({ type: 'integer', example: 1 })
  total: number;

  /** Asks for the next page; null on the last one. */
  @ApiProperty({ type: 'string', nullable: true, example: null })
  next_cursor: string | null;
}

/** What every user may know of another one. */
@ApiSchema({ name: 'UserName' })
export class UserNameDto implements UserName {
  @ApiProperty({ format: 'uuid', example: USER_ID })
  id: string;

  @ApiProperty({ example: 'ann' })
  username: string;
}

/** Which users, and which part of the list. */
export class ListUsersRequest extends PageQuery {
  /** Start of the email or of the username, whatever the case. */
  @MayBeAbsent()
  @IsText({ min: 1, max: 255 })
  @ApiProperty({ required: false, example: 'ann' })
  q?: string;
}

export class LookUpUserRequest {
  /** The whole email or username, whatever the case. */
  @IsText({ min: 1, max: 255 })
  @ApiProperty({ example: 'ann@example.com' })
  login: string;
}

/** What to change; the rest stays. */
@ApiSchema({ name: 'UpdateUser' })
export class UpdateUserRequest {
  @MayBeAbsent()
  @IsOneOf(ROLES)
  @ApiProperty({ required: false, enumName: 'UserRole', example: 'admin' })
  role?: UserRole;

  /** True shuts the account at once: sign-ins end, keys stop. False lets its user sign in again. */
  @MayBeAbsent()
  @IsFlag()
  @ApiProperty({ required: false, example: false })
  disabled?: boolean;
}
