import { describe, expect, it } from 'vitest';
import { requireVerdict } from './git-verdict.js';

const ended = (code: number, errors: string) => () => requireVerdict({ code, stdout: '', errors });

describe("git's word on objects", () => {
  it('is that they are whole', () => expect(ended(0, '')()).toBe(true));

  it.each([
    'error: inflate: data stream error (incorrect header check) fatal: loose object 1a is corrupt',
    'error: object 1a: treeNotSorted: not properly sorted fatal: fsck error in packed object',
    'fatal: unable to read tree (1a)',
    'fatal: pack exceeds maximum allowed size (1.00 GiB)',
    'fatal: attempting to allocate 4294967296 over limit 1073741824',
  ])('is that they are not: %s', (errors) => expect(ended(128, errors)()).toBe(false));

  it.each([
    [128, 'fatal: write error: No space left on device'],
    [128, 'fatal: Out of memory, malloc failed (tried to allocate 100 bytes)'],
    [128, 'error: unable to open objects/1a: Too many open files'],
    [128, 'fatal: unable to create thread: Resource temporarily unavailable'],
    [128, 'fatal: read error: Input/output error'],
    [128, ''],
    [137, 'fatal: early EOF'],
    [-1, ''],
  ])('is none: %i %s', (code, errors) => expect(ended(code, errors)).toThrow('could not look'));
});
