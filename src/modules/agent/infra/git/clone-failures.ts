import { AttemptFailure } from '../../domain/outcome.js';

/** What people can do about it, by what git says. The first that fits. */
const HINTS: readonly [RegExp, string][] = [
  [
    /terminal prompts disabled|could not read (Username|Password)|Authentication failed|Permission denied/i,
    'It asks for credentials, and those that the server may use for you are none or not the right ones.',
  ],
  [/returned error: 3\d\d|redirect/i, 'The address leads on to another one; use that one, redirects are not followed.'],
  [/Host key verification failed/i, 'The key of the host is not known to the server; add it to known_hosts.'],
  [/returned error: 404|not found/i, 'It does not exist, or you may not read it.'],
];

/** What passes by itself: the network, the name server, a server that is busy or has broken off. */
const PASSING =
  /could not resolve (host|proxy)|temporary failure in name|unable to look up|(failed|unable|could ?n.t|can.t) (to )?connect|connection (refused|timed out|reset|closed)|operation timed out|network is unreachable|no route to host|early eof|rpc failed|(hung up|unexpected(ly)?) (unexpectedly|disconnect)|empty reply|gnutls_handshake|ssl_error_syscall|returned error: (408|429|5\d\d)/i;

/** Why a repository could not be cloned: git's own words, and what to do about it. */
export function cloneFailed(errors: string): AttemptFailure {
  if (/No space left on device|Disk quota exceeded/i.test(errors)) return doesNotFit();
  const known = HINTS.find(([pattern]) => pattern.test(errors))?.[1];
  const passing = known === undefined && PASSING.test(errors);
  const hint = passing ? "It can't be reached at the moment." : known;
  const reason = errors || 'git gave no reason';
  return new AttemptFailure(
    passing ? 'workspace.unreachable' : 'workspace.clone_failed',
    `The repository could not be cloned: ${reason}${hint === undefined ? '' : ` ${hint}`}`,
  );
}

/** The repository is larger than the configuration allows. */
export function tooLarge(maxBytes: number): AttemptFailure {
  const size =
    maxBytes >= 1024 ** 3 ? `${Math.round(maxBytes / 1024 ** 3)} GiB` : `${Math.round(maxBytes / 1024 ** 2)} MiB`;
  return new AttemptFailure(
    'workspace.too_large',
    `The repository takes more than ${size} on disk (KANDEV_MAX_REPOSITORY_BYTES). Less history may do: KANDEV_CLONE_DEPTH.`,
  );
}

/** The disk is full. */
export function doesNotFit(): AttemptFailure {
  return new AttemptFailure(
    'workspace.too_large',
    'The repository does not fit on the disk that there is for it. Raise the disk_limit of its agent type, or make room.',
  );
}
