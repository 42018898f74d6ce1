/**
 * Names of an agent's files as git can keep them. What git would take for a repository of its own gets a suffix, and
 * so does what has the suffix already: every name comes back as it was.
 */

const SUFFIX = Buffer.from('%kandev');
/** Stands for a folder with nothing in it: no real name becomes this one. */
export const EMPTY_FOLDER = SUFFIX;

/** What some git on some system takes for `.git`: other cases, `git~1`, dots and blanks behind, invisible characters. */
const LIKE_GIT = /^(\.git|git~\d+)[. ]*(:.*)?$/i;
/** Characters that HFS+ does not see, as `core.protectHFS` lists them. */
const INVISIBLE = /[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]/g;
/** Files that git itself reads: as a link, or unlike what it expects there, they are refused by checks of objects. */
const READ_BY_GIT = /^(\.git(modules|attributes|ignore|mailmap)|gi(t|7)[\da-z]{2,4}~\d)$/i;

/** Whether git takes a folder or file of this name for a repository. On some systems a backslash ends a name. */
export function isLikeGit(name: Buffer): boolean {
  const text = name.toString('utf8').replaceAll(INVISIBLE, '');
  return text.split('\\').some((part) => LIKE_GIT.test(part));
}

/** The name under which a rescue keeps a file. `asIs` says of a file for git's own eyes that it is as it was checked out. */
export function escapeName(name: Buffer, asIs: boolean): Buffer {
  const dangerous = isLikeGit(name) || (!asIs && READ_BY_GIT.test(name.toString('utf8').replaceAll(INVISIBLE, '')));
  return dangerous || endsWithSuffix(name) ? Buffer.concat([name, SUFFIX]) : name;
}

/** What {@link escapeName} was given. Of {@link EMPTY_FOLDER} nothing is left. */
export function unescapeName(name: Buffer): Buffer {
  return endsWithSuffix(name) ? name.subarray(0, name.length - SUFFIX.length) : name;
}

function endsWithSuffix(name: Buffer): boolean {
  return name.length >= SUFFIX.length && name.subarray(name.length - SUFFIX.length).equals(SUFFIX);
}

/** A path as `git fast-import` reads it: in quotes, bytes as they are but for those that would end it. */
export function quotePath(path: Buffer): Buffer {
  const quoted: number[] = [QUOTE];
  for (const byte of path) {
    if (byte === QUOTE || byte === BACKSLASH) quoted.push(BACKSLASH, byte);
    else if (byte < BLANK || byte === DELETE) quoted.push(...Buffer.from(`\\${byte.toString(8).padStart(3, '0')}`));
    else quoted.push(byte);
  }
  quoted.push(QUOTE);
  return Buffer.from(quoted);
}
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const BLANK = 0x20;
const DELETE = 0x7f;

/** A path for people and for JSON: what is no UTF-8 becomes U+FFFD. */
export function readable(path: Buffer): string {
  return path.toString('utf8').replaceAll('\0', '\ufffd').toWellFormed();
}
