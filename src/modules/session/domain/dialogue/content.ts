import type { MediaContent } from '../../contracts/dialogue.types.js';
import { count, cutText, jsonBytes, label, record, sizeText, text, type Json } from './lenient.js';
import { MAX_MEDIA, MAX_NAME, MAX_PATH, MAX_RAW } from './limits.js';

/** A block of content that is no text: an image, a sound, a file, a link; or what we don't know. */
export function mediaOf(block: Json): MediaContent {
  const { type } = block;
  if (type === 'image' || type === 'audio') return media(type, block, base64Bytes(block['data']), block['data']);
  if (type === 'resource_link') return media(type, block, count(block['size']), null);
  const resource = type === 'resource' ? record(block['resource']) : null;
  if (resource) {
    const content = text(resource['text']);
    if (content !== null) return media('resource', resource, Buffer.byteLength(content), content);
    return media('resource', resource, base64Bytes(resource['blob']), resource['blob']);
  }
  const raw = JSON.stringify(block);
  const kept = { ...media('unknown', {}, jsonBytes(block), null), name: label(type, MAX_NAME) };
  return { ...kept, data: cutText(raw, MAX_RAW) };
}

function media(type: MediaContent['type'], from: Json, bytes: number | null, data: unknown): MediaContent {
  return {
    type,
    mime_type: label(from['mimeType'], MAX_NAME),
    uri: label(from['uri'], MAX_PATH),
    name: label(from['title'], MAX_NAME) ?? label(from['name'], MAX_NAME),
    bytes,
    data: typeof data === 'string' && data.length <= MAX_MEDIA ? data : null,
  };
}

function base64Bytes(data: unknown): number | null {
  if (typeof data !== 'string') return null;
  return Math.floor((data.replace(/=+$/, '').length * 3) / 4);
}

const NAMES = {
  image: 'Image',
  audio: 'Audio',
  resource: 'File',
  resource_link: 'Link',
  unknown: 'Content of an unknown kind',
} as const;

/** `[Image image/png, 12.3 KB]`. */
export function mediaText({ type, mime_type, uri, name, bytes }: MediaContent): string {
  const what = [name, uri, mime_type].filter((one) => one !== null).join(' ');
  const size = bytes === null ? '' : `, ${sizeText(bytes)}`;
  return `[${NAMES[type]}${what === '' ? '' : ` ${what}`}${size}]`;
}
