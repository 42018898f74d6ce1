import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect, it } from 'vitest';
import { Redactor } from '../domain/redaction.js';
import type { Comparison } from '../domain/work-trees.js';
import { redactedComparison, redactedStream } from './redacted-diff.js';

const SECRET = 'the-secret-value';
const redactor = Redactor.of([SECRET, '-----BEGIN KEY-----\nfirst-line-of-key\nsecond-line-of-key\n']);

it('finds secrets wherever a stream is cut', async () => {
  const plain = `${'x'.repeat(50_000)} ${SECRET}\n`.repeat(8);
  for (const size of [1_000, 50_007, 65_536, 1_000_000]) {
    const pieces: Buffer[] = [];
    for (let at = 0; at < plain.length; at += size) pieces.push(Buffer.from(plain.slice(at, at + size)));
    const seen = await text(redactedStream(Readable.from(pieces), redactor));
    expect(seen).not.toContain('secret');
    expect(seen.replaceAll(/(\[redacted\])+/g, SECRET)).toBe(plain);
  }
});

it('finds a key line by line, and leaves the rest as it is', async () => {
  const patch = '+one\n+first-line-of-key\n+second-line-of-key\n+ä\n';
  expect(await text(redactedStream(Readable.from([Buffer.from(patch)]), redactor))).toBe(
    '+one\n+[redacted]\n+[redacted]\n+ä\n',
  );
});

it('fails when the stream does', async () => {
  const source = new Readable({ read: () => source.destroy(new Error('git has failed')) });
  await expect(text(redactedStream(source, redactor))).rejects.toThrow('git has failed');
});

it('takes them out of patches and names, and out of nothing else', () => {
  const file = { path: `a/${SECRET}`, old_path: null, patch: `+${SECRET}\n`, status: 'added' as const };
  const numbers = { additions: 1, deletions: 0, binary: false, truncated: false };
  const left_out = [{ path: SECRET, bytes: 1, why: 'too large' }];
  const comparison: Comparison = {
    ...{ base_commit: null, head: null, total_files: 1, additions: 1, deletions: 0, truncated: false },
    ...{ files: [{ ...file, ...numbers }], left_out },
  };
  const seen = redactedComparison(comparison, redactor);
  expect(JSON.stringify(seen)).not.toContain(SECRET);
  expect(seen.files).toEqual([{ ...file, ...numbers, path: 'a/[redacted]', patch: '+[redacted]\n' }]);
  expect(redactedComparison(comparison, Redactor.none)).toBe(comparison);
});
