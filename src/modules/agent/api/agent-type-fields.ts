import { Transform } from 'class-transformer';
import { applyDecorators } from '@nestjs/common';
import { Check } from '../../../common/validation/check.decorator.js';
import { HOST_LABEL } from '../../../common/validation/host-label.js';
import { textProblem } from '../../../common/validation/text.js';
import { CREDENTIAL_MOUNTS } from '../contracts/agent.types.js';
import { allowedHostProblem } from '../domain/allowed-hosts.js';
import { environmentProblem } from '../domain/environment.js';
import { imageNameProblem, imageTagProblem } from '../domain/image-reference.js';

export const AGENT_TYPE_NAME = {
  min: 1,
  max: 100,
  pattern: /^[a-z0-9][a-z0-9._-]{0,99}$/,
  pattern_message: 'must be lower-case letters, digits, ".", "_" and "-", a letter or digit first',
};
export const CAPABILITY = {
  min: 1,
  max: 50,
  pattern: /^[a-z][a-z0-9]*(?:[_-][a-z0-9]+)*$/,
  pattern_message: 'must be lower-case words such as code_review',
};
const MAX_CAPABILITIES = 50;
/** More are no list that anybody reads. */
const MAX_HOSTS = 100;
const MAX_ARGUMENTS = 100;
const MAX_ARGUMENT_LENGTH = 4096;

/** For the API document. */
export const CAPABILITIES = {
  type: 'array',
  maxItems: MAX_CAPABILITIES,
  uniqueItems: true,
  items: { type: 'string', minLength: CAPABILITY.min, maxLength: CAPABILITY.max, pattern: CAPABILITY.pattern.source },
} as const;
export const COMMAND = {
  type: 'array',
  minItems: 1,
  maxItems: MAX_ARGUMENTS,
  items: { type: 'string', maxLength: MAX_ARGUMENT_LENGTH },
} as const;

export const ALLOWED_HOSTS = {
  type: 'array',
  maxItems: MAX_HOSTS,
  uniqueItems: true,
  items: { type: 'string', minLength: 1, maxLength: 320 },
} as const;

const MAX_LABELS = 20;
export const HOST_LABELS = {
  type: 'array',
  maxItems: MAX_LABELS,
  uniqueItems: true,
  items: { type: 'string', minLength: 1, maxLength: 127, pattern: HOST_LABEL.source },
} as const;

/** Name of an image, without tag. */
export const IsImageName = (): PropertyDecorator =>
  Check('isImageName', textThen(imageNameProblem), { maxLength: 255 });

/** Tag of an image, or a digest. */
export const IsImageTag = (): PropertyDecorator => Check('isImageTag', textThen(imageTagProblem), { maxLength: 100 });

/** Program and arguments. */
export const IsCommand = (): PropertyDecorator => Check('isCommand', commandProblem);

/** Environment variables. As they came: class-transformer's copy would lose names such as `toString`. */
export const IsEnvironment = (): PropertyDecorator =>
  applyDecorators(
    Transform(({ obj, key }: { obj: Record<string, unknown>; key: string }) => obj[key]),
    Check('isEnvironment', environmentProblem),
  );

export const AreCapabilities = (): PropertyDecorator =>
  Check('areCapabilities', (value) => listProblem(value, MAX_CAPABILITIES, (item) => textProblem(item, CAPABILITY)));

/** Credentials of the host, by name: never a path. */
export const AreMounts = (): PropertyDecorator =>
  Check('areMounts', (value) =>
    listProblem(value, CREDENTIAL_MOUNTS.length, (item) =>
      (CREDENTIAL_MOUNTS as readonly unknown[]).includes(item)
        ? undefined
        : `must name credentials of the host: ${CREDENTIAL_MOUNTS.join(', ')}`,
    ),
  );

/** Hosts that an agent may reach: `example.com`, `*.example.com`, `example.com:8443`. */
export const AreAllowedHosts = (): PropertyDecorator =>
  Check('areAllowedHosts', (value) => listProblem(value, MAX_HOSTS, allowedHostProblem));

/** What a host has to have: `gpu`, `zone=eu`. */
export const AreHostLabels = (): PropertyDecorator =>
  Check('areHostLabels', (value) =>
    listProblem(value, MAX_LABELS, (item) =>
      typeof item === 'string' && HOST_LABEL.test(item) ? undefined : 'must be labels such as gpu or zone=eu',
    ),
  );

/** A JSON object: neither a list nor null. */
export const IsPlainObject = (): PropertyDecorator =>
  Check('isPlainObject', (value) =>
    typeof value === 'object' && value !== null && !Array.isArray(value) ? undefined : 'must be an object',
  );

function textThen(problemOf: (text: string) => string | undefined): (value: unknown) => string | undefined {
  return (value) => (typeof value === 'string' ? problemOf(value) : 'must be a text');
}

function commandProblem(value: unknown): string | undefined {
  if (!Array.isArray(value)) return 'must be a list of program and arguments, or null';
  if (value.length === 0 || value[0] === '') return 'must name a program, or be null';
  if (value.length > MAX_ARGUMENTS) return `must have at most ${MAX_ARGUMENTS} parts`;
  return value.map((part) => textProblem(part, { max: MAX_ARGUMENT_LENGTH })).find(Boolean);
}

function listProblem(
  value: unknown,
  max: number,
  problemOf: (item: unknown) => string | undefined,
): string | undefined {
  if (!Array.isArray(value)) return 'must be a list';
  const problem = value
    .slice(0, max + 1)
    .map(problemOf)
    .find(Boolean);
  if (problem) return problem;
  if (value.length > max) return `must have at most ${max} entries`;
  return new Set(value).size === value.length ? undefined : 'must name each only once';
}
