import { ApiProperty, ApiSchema } from '@nestjs/swagger';

/** One wrong field of the request. */
@ApiSchema({ name: 'FieldError' })
export class FieldErrorDto {
  /** Path of the field, such as `metadata.a`. */
  @ApiProperty({ example: 'title' })
  field: string;

  @ApiProperty({ example: 'must not be empty' })
  message: string;
}

/** An error answer, by RFC 9457. Match on `code`, never on the texts. */
@ApiSchema({ name: 'Problem' })
export class ProblemDto {
  @ApiProperty({ example: 'urn:kandev:problem:task.not_found' })
  type: string;

  @ApiProperty({ example: 'Not Found' })
  title: string;

  @ApiProperty({ type: 'integer', example: 404 })
  status: number;

  /** What is wrong and what to do about it, for people. */
  @ApiProperty({ example: 'There is no such task, or it is not yours to see.' })
  detail: string;

  /** Path of the request. */
  @ApiProperty({ example: '/api/v1/tasks/019ac1a5-7c1e-7000-8000-000000000000' })
  instance: string;

  /** Stable and for machines. */
  @ApiProperty({ example: 'task.not_found' })
  code: string;

  /** Finds the request in the server's log. */
  @ApiProperty({ example: '019ac1a5-7c1e-7000-8000-0000000000ff' })
  correlation_id: string;

  /** Of a 400: which fields are wrong. */
  errors?: FieldErrorDto[];
}
