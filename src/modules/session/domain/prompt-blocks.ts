import { pathToFileURL } from 'node:url';
import type { PromptBlock } from '../contracts/dialogue.types.js';
import type { PromptAttachment } from './prompt.entity.js';

/** A prompt as the dialogue sends it: its text, then what is attached; files are in `cwd`. */
export function promptBlocks(
  { text, attachments }: { text: string; attachments: readonly PromptAttachment[] },
  cwd: string,
): PromptBlock[] {
  return [{ type: 'text', text }, ...attachments.map((attachment) => blockOf(attachment, cwd))];
}

function blockOf(
  { name, path, media_type = 'application/octet-stream', data }: PromptAttachment,
  cwd: string,
): PromptBlock {
  if (data === undefined) return { type: 'resource_link', uri: pathToFileURL(`${cwd}/${path ?? name}`).href, name };
  if (media_type.startsWith('image/')) return { type: 'image', mime_type: media_type, data };
  const text = Buffer.from(data, 'base64').toString();
  return { type: 'resource', uri: `attachment:///${encodeURIComponent(name)}`, text, mime_type: media_type };
}
