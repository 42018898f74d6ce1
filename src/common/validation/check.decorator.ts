import { applyDecorators } from '@nestjs/common';
import { ApiProperty, type ApiPropertyOptions } from '@nestjs/swagger';
import { ValidateBy, ValidateIf, type ValidationArguments } from 'class-validator';

/** Says what is wrong with a value, in words that follow the field's name ("must …"); undefined when it is right. */
export type ProblemOf = (value: unknown, dto: object) => string | undefined;

/** A property decorator from a function that finds problems, and what the API document says of the property. */
export function Check(name: string, problemOf: ProblemOf, documented: ApiPropertyOptions = {}): PropertyDecorator {
  const find = (value: unknown, args?: ValidationArguments) => problemOf(value, args?.object ?? {});
  return applyDecorators(
    ValidateBy({
      name,
      validator: {
        validate: (value, args) => find(value, args) === undefined,
        defaultMessage: (args) => find(args?.value, args) ?? '',
      },
    }),
    ApiProperty(documented),
  );
}

/** The field may be left out, but not be null. (class-validator's `IsOptional` lets both pass.) */
export const MayBeAbsent = (): PropertyDecorator => ValidateIf((_, value) => value !== undefined);
