import type { ContentBlock } from '@agentclientprotocol/sdk';
import type { PromptBlock, RefusedEvent, SessionCapabilities } from '../../contracts/dialogue.types.js';

/** A prompt in the agent's terms, or why it can't be sent. */
export type PromptContent = { blocks: ContentBlock[] } | { problem: Pick<RefusedEvent, 'code' | 'text'> };

/** Texts and links are taken by every agent; a file becomes text and an image a link where the agent takes no other. */
export function promptContent(content: readonly PromptBlock[], can: SessionCapabilities): PromptContent {
  const blocks = content.map((block) => blockOf(block, can));
  if (blocks.some((block) => block === null)) {
    const text = 'The agent takes no images. Put the image into the workspace and name its path in the text.';
    return { problem: { code: 'session.image_unsupported', text } };
  }
  const sent = (blocks as ContentBlock[]).filter((block) => block.type !== 'text' || block.text.trim() !== '');
  if (sent.length > 0) return { blocks: sent };
  return { problem: { code: 'session.prompt_empty', text: 'The prompt has no text and nothing else.' } };
}

function blockOf(block: PromptBlock, can: SessionCapabilities): ContentBlock | null {
  switch (block.type) {
    case 'text':
      return { type: 'text', text: block.text };
    case 'resource_link': {
      const { uri, name, mime_type: mimeType, size } = block;
      return { type: 'resource_link', uri, name, ...(mimeType && { mimeType }), ...(size != null && { size }) };
    }
    case 'image': {
      const { uri, data, mime_type: mimeType } = block;
      if (can.image) return { type: 'image', data, mimeType, ...(uri && { uri }) };
      return uri ? { type: 'resource_link', uri, name: nameOf(uri), mimeType } : null;
    }
    case 'resource': {
      const { uri, text, mime_type: mimeType } = block;
      if (can.embedded_context) return { type: 'resource', resource: { uri, text, ...(mimeType && { mimeType }) } };
      return { type: 'text', text: `The content of ${uri}:\n\n${text}` };
    }
  }
}

function nameOf(uri: string): string {
  return uri.split('/').findLast((part) => part !== '') ?? uri;
}
