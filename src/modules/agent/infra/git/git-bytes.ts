import { Writable } from 'node:stream';
import { type Git, type GitOptions, GitOutputTooLarge } from './git.js';

const MAX_BYTES = 256 * 1024 * 1024; // a list of two million files; a tree that was made to unfold without end has more

/**
 * What git has written, as bytes: names of files are not always UTF-8.
 * @throws GitOutputTooLarge; Error with git's own words when it fails
 */
export async function bytesOf(git: Git, args: readonly string[], options: GitOptions): Promise<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  const stdout = new Writable({
    write: (chunk: Buffer, _, next) => {
      bytes += chunk.length;
      if (bytes > (options.maxBytes ?? MAX_BYTES)) return next(new GitOutputTooLarge());
      parts.push(chunk);
      next();
    },
  });
  const { code, errors } = await git.run(args, { ...options, stdout });
  if (code !== 0) throw new Error(`git ${args.find((arg) => !arg.startsWith('-')) ?? ''} failed: ${errors}`);
  return Buffer.concat(parts);
}

/** The same as one line of text. */
export async function lineOf(git: Git, args: readonly string[], options: GitOptions): Promise<string> {
  return (await bytesOf(git, args, options)).toString().trim();
}

/** What git was asked about by exit code: 0 yes, 1 no. @throws Error for anything else */
export async function isTrue(git: Git, args: readonly string[], options: GitOptions): Promise<boolean> {
  const { code, errors } = await git.run(args, options);
  if (code > 1 || code < 0) throw new Error(`git ${args[0] ?? ''} failed: ${errors}`);
  return code === 0;
}
