import { textProblem } from './text.js';

const MAX_LENGTH = 500;
const SCHEMES = new Set(['https:', 'http:', 'ssh:', 'git:', 'file:']);
const FORMS = 'must be an https://, http://, ssh://, git:// or file:// URL, user@host:path, or an absolute path';
const NO_CREDENTIALS =
  'must not contain a password or token, since it would be stored with the task; set up git credentials on the server instead';

/** `user@host:path`, the host perhaps an IPv6 address in brackets. */
const SCP_LIKE = /^[A-Za-z0-9_][\w.+-]*@(?:[A-Za-z0-9_][\w.-]*|\[[0-9A-Fa-f:.]+\]):(?![-:])[^\s]+$/;

/** Access tokens of GitHub, GitLab and Bitbucket, and what is longer than any account's name there. */
const TOKEN_AS_USER = /^(gh[a-z]_|github_pat_|glpat-|atbb)|^.{40,}$/i;

/** What is wrong with the address of a git repository, in words that follow its field's name. */
export function repositoryUrlProblem(value: unknown): string | undefined {
  const problem = textProblem(value, { min: 1, max: MAX_LENGTH });
  if (problem) return problem;
  const address = value as string;
  if (/[\p{Cc}\u2028\u2029]/u.test(address)) return 'must not contain control characters';
  if (address.startsWith('-')) return 'must not start with "-"';
  if (address.startsWith('/')) return undefined;
  if (/^[A-Za-z][A-Za-z0-9+.-]*:\/\//.test(address)) return urlProblem(address);
  if (/^[^/@\s]+:[^/@\s]*@/.test(address)) return NO_CREDENTIALS;
  return SCP_LIKE.test(address) ? undefined : FORMS;
}

function urlProblem(address: string): string | undefined {
  if (/[\s\\]/.test(address) || !URL.canParse(address)) return FORMS;
  const { protocol, hostname, username, password, pathname } = new URL(address);
  if (!SCHEMES.has(protocol)) return FORMS;
  if (password !== '' || TOKEN_AS_USER.test(decode(username))) return NO_CREDENTIALS;
  if (protocol === 'file:') return hostname === '' && pathname !== '/' ? undefined : 'must name a path after file://';
  // The URL class finds a host even in https:///a, git does not.
  if (
    !/^[^:]+:\/\/[^/?#]/.test(address) ||
    hostname === '' ||
    hostname.startsWith('-') ||
    decode(username).startsWith('-')
  )
    return 'must name a host';
  return undefined;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
