import { Transform } from 'class-transformer';
import { isEmail, ValidateIf } from 'class-validator';
import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { Check } from '../../../common/validation/check.decorator.js';
import { IsText } from '../../../common/validation/fields.decorator.js';
import { textProblem } from '../../../common/validation/text.js';
import type { NewTicket } from '../app/create-ticket.js';
import type { SignedIn } from '../app/sessions.js';
import { UserDto } from './user.dto.js';

const USERNAME = {
  min: 3,
  max: 100,
  pattern: /^[A-Za-z0-9._-]+$/,
  pattern_message: 'must only have letters, digits and . _ -',
};
/** Long is what counts; 200 characters are no work to hash, and more than anybody types. */
const PASSWORD = { min: 10, max: 200 };

export class RegisterRequest {
  /** Kept in lower case. */
  @Transform(({ value }: { value: unknown }) => (typeof value === 'string' ? value.toLowerCase() : value))
  @Check('isEmail', emailProblem, { maxLength: 255 })
  @ApiProperty({ example: 'ann@example.com', format: 'email' })
  email: string;

  /** Unique, whatever the case. */
  @IsText(USERNAME)
  @ApiProperty({ example: 'ann' })
  username: string;

  @IsText(PASSWORD)
  @ApiProperty({ example: 'correct horse battery staple', format: 'password' })
  password: string;
}

/** Either `email` or `username`, and the password. */
export class LoginRequest {
  @ValidateIf((dto: LoginRequest) => dto.email !== undefined || dto.username === undefined)
  @Check('isLoginName', (value, dto) => nameProblem(value, (dto as LoginRequest).username))
  @ApiProperty({ example: 'ann@example.com' })
  email?: string;

  @ValidateIf((dto: LoginRequest) => dto.username !== undefined)
  @IsText({ min: 1, max: 255 })
  @ApiProperty({ example: 'ann' })
  username?: string;

  @IsText({ min: 1, max: 200 })
  @ApiProperty({ example: 'correct horse battery staple', format: 'password' })
  password: string;
}

export class RefreshRequest {
  @IsText({ min: 1, max: 200 })
  @ApiProperty({ example: 'q3JrV9sLZ0y4hVnC3m0YF0eT6zq1o2w8kXcB7uRrD5A' })
  refresh_token: string;
}

/** The text comes first: the check of emails throws on broken characters. */
function emailProblem(value: unknown): string | undefined {
  return textProblem(value, { max: 255 }) ?? (isEmail(value) ? undefined : 'must be an email address');
}

function nameProblem(email: unknown, username: unknown): string | undefined {
  if (email === undefined) return 'must be given, or username instead';
  return username === undefined ? textProblem(email, { min: 1, max: 255 }) : 'must not be given together with username';
}

/** A change of one's own password. */
export class ChangePasswordRequest {
  @IsText({ min: 1, max: 200 })
  @ApiProperty({ example: 'correct horse battery staple', format: 'password' })
  current_password: string;

  @IsText(PASSWORD)
  @ApiProperty({ example: 'seven small boats on a lake', format: 'password' })
  new_password: string;
}

@ApiSchema({ name: 'SignedIn' })
export class SignedInDto implements SignedIn {
  user: UserDto;

  /** For `Authorization: Bearer …`. */
  @ApiProperty({ example: 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIuLi4ifQ.c2lnbmF0dXJl' })
  access_token: string;

  /** Exchange it once at `/auth/refresh`, before or after the access token expires. */
  @ApiProperty({ example: 'q3JrV9sLZ0y4hVnC3m0YF0eT6zq1o2w8kXcB7uRrD5A' })
  refresh_token: string;

  @ApiProperty({ enum: ['Bearer'] })
  token_type: 'Bearer';

  /** Seconds until the access token expires. */
  @ApiProperty({ type: 'integer', example: 86400 })
  expires_in: number;
}

@ApiSchema({ name: 'Ticket' })
export class TicketDto implements NewTicket {
  /** For `?ticket=` of a WebSocket or a stream of Server-Sent Events, or `auth: {ticket}` of Socket.IO. */
  @ApiProperty({ example: 'Zk3mJrV9sLZ0y4hVnC3m0YF0eT6zq1o2w8kXcB7uRrD' })
  ticket: string;

  /** Seconds that it is good for. */
  @ApiProperty({ type: 'integer', example: 30 })
  expires_in: number;
}
