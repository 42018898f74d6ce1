import { isUtf8 } from 'node:buffer';
import { DomainError } from '../../../common/errors/domain-error.js';
import { textProblem } from '../../../common/validation/text.js';
import { invalidRequest } from '../../../common/validation/validation-error.js';
import type { PromptAttachment } from '../domain/prompt.entity.js';

/** More files than this belong into the workspace. */
export const MAX_ATTACHMENTS = 10;
/** Of all attachments of a prompt, decoded: some screenshots, or a long log. */
export const MAX_ATTACHED_BYTES = 5 * 1024 * 1024;
/** Those as base64 (a third more), the text with every character escaped, and the names: 8.2 MB. */
export const MAX_PROMPT_BODY_BYTES = 8 * 1024 * 1024;
export const NAME = { min: 1, max: 255 } as const; // as long as names of files
export const PATH = { min: 1, max: 1000 } as const;
/** As RFC 6838 has it, without parameters. */
export const MEDIA_TYPE = /^[A-Za-z0-9][\w!#$&^.+-]{0,62}\/[A-Za-z0-9][\w!#$&^.+-]{0,62}$/;

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
const FIELDS = new Set(['name', 'path', 'media_type', 'data']);

/** What is wrong with the attachments of a request, in words that follow the field's name; undefined when nothing is. */
export function attachmentsProblem(value: unknown): string | undefined {
  if (!Array.isArray(value) || value.length > MAX_ATTACHMENTS)
    return `must be a list of at most ${MAX_ATTACHMENTS} attachments`;
  return value.map(problemOf).find((problem) => problem !== undefined);
}

function problemOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'must have objects only';
  const { name, path, media_type, data } = value as Record<string, unknown>;
  const unknown = Object.keys(value).find((field) => !FIELDS.has(field));
  if (unknown !== undefined)
    return `must not have ${unknown.slice(0, 50)}: name, path, media_type and data are all there is`;
  const wrongName = textProblem(name, NAME);
  if (wrongName) return `must have names, and a name ${wrongName}`;
  if ((path === undefined) === (data === undefined)) return 'must have either a path or data each';
  if (media_type !== undefined && !(typeof media_type === 'string' && MEDIA_TYPE.test(media_type)))
    return 'must have media types such as image/png';
  return data === undefined ? pathProblem(path) : dataProblem(data, media_type);
}

function pathProblem(path: unknown): string | undefined {
  const wrong = textProblem(path, PATH);
  if (wrong) return `must have paths, and a path ${wrong}`;
  const names = (path as string).split('/');
  return names.some((name) => name === '' || name === '.' || name === '..')
    ? 'must have paths inside the workspace: relative to it, without . or ..'
    : undefined;
}

function dataProblem(data: unknown, media_type: unknown): string | undefined {
  if (typeof data !== 'string' || data === '' || data.length % 4 !== 0 || !BASE64.test(data))
    return 'must have data in base64';
  return media_type === undefined ? 'must have a media_type with data' : undefined;
}

/**
 * The attachments as they are kept.
 * @throws DomainError `request.too_large`; `request.invalid` for data that is neither an image nor a text
 */
export function toAttachments(given: readonly PromptAttachment[]): PromptAttachment[] {
  const bytes = given.reduce((sum, { data = '' }) => sum + Buffer.byteLength(data, 'base64'), 0);
  if (bytes > MAX_ATTACHED_BYTES) {
    const text = `The attachments have ${bytes} bytes; together they may have ${MAX_ATTACHED_BYTES}. Put larger files into the workspace and name their paths.`;
    throw new DomainError('too_large', 'request.too_large', text);
  }
  const unclear = given.findIndex(({ data, media_type = '' }) => data !== undefined && !isReadable(data, media_type));
  if (unclear === -1) return given.map(kept);
  const message = 'must be an image, or a text in UTF-8; put other files into the workspace and name their path';
  throw invalidRequest([{ field: `attachments.${unclear}.data`, message }]);
}

function kept({ name, path, media_type, data }: PromptAttachment): PromptAttachment {
  return { name, path, media_type: media_type?.toLowerCase(), data };
}

/** What the Agent Client Protocol has room for. */
function isReadable(data: string, media_type: string): boolean {
  if (/^image\//i.test(media_type)) return true;
  const bytes = Buffer.from(data, 'base64');
  return isUtf8(bytes) && !bytes.includes(0);
}
