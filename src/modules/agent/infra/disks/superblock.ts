import { open } from 'node:fs/promises';

const OFFSET = 1_024;
const LENGTH = 1_024;
const MAGIC = 0xef53;
const PREFIX = 'k:';

/** What is needed of an ext4 superblock; see the kernel's documentation of its layout. */
export interface Superblock {
  blocks: number;
  free_blocks: number;
  /** Bytes that were promised to the agent, kept in the label; 0 where there is none. */
  limit: number;
}

/** How the limit of a disk is written into its label, of 16 bytes at most. */
export function labelOf(limit: number): string {
  return `${PREFIX}${limit.toString(36)}`;
}

/** Reads the superblock of an image that is not mounted; of one that is, the label alone is up to date. */
export async function readSuperblock(file: string): Promise<Superblock> {
  const handle = await open(file, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(LENGTH), 0, LENGTH, OFFSET);
    if (bytesRead < LENGTH || buffer.readUInt16LE(0x38) !== MAGIC) throw new Error('the image holds no file system');
    const wide = (low: number, high: number): number => buffer.readUInt32LE(low) + buffer.readUInt32LE(high) * 2 ** 32;
    const label = buffer.toString('latin1', 0x78, 0x88).replace(/\0.*$/s, '');
    const limit = label.startsWith(PREFIX) ? Number.parseInt(label.slice(PREFIX.length), 36) : 0;
    return { blocks: wide(0x4, 0x150), free_blocks: wide(0xc, 0x158), limit };
  } finally {
    await handle.close();
  }
}
