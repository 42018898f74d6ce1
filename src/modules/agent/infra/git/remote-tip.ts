/** What a remote says of the branch that is wanted: the answer of `git ls-remote`. */
export interface RemoteTip {
  kind: 'branch' | 'tag' | 'detached';
  /** The branch or tag; null where the remote's HEAD is on none. */
  name: string | null;
  /** At the remote, and in our repository. */
  remote_ref: string;
  ref: string;
  /** What it points to: a commit, or an annotated tag. */
  object: string;
}

/** Arguments of `ls-remote` that find a branch or tag, or where HEAD is. Patterns also match ends of longer names. */
export function lsRemoteArgs(branch: string | null): { options: string[]; patterns: string[] } {
  if (branch === null) return { options: ['--symref'], patterns: ['HEAD'] };
  return { options: ['--heads', '--tags'], patterns: [`refs/heads/${branch}`, `refs/tags/${branch}`] };
}

/** Reads the answer; of a branch and a tag of one name the branch. Undefined: there is none. */
export function readLsRemote(answer: string, branch: string | null): RemoteTip | undefined {
  const refs = new Map<string, string>();
  let head: string | undefined;
  for (const line of answer.split('\n')) {
    const [value = '', ref = ''] = line.split('\t');
    if (value.startsWith('ref: ')) head ??= ref === 'HEAD' ? value.slice('ref: '.length) : undefined;
    else if (/^[0-9a-f]{40}([0-9a-f]{24})?$/.test(value)) refs.set(ref, value);
  }
  if (branch !== null) {
    return (
      tip('branch', branch, refs.get(`refs/heads/${branch}`)) ?? tip('tag', branch, refs.get(`refs/tags/${branch}`))
    );
  }
  const object = refs.get('HEAD');
  if (head?.startsWith('refs/heads/')) return tip('branch', head.slice('refs/heads/'.length), object);
  return tip('detached', null, object);
}

function tip(kind: RemoteTip['kind'], name: string | null, object: string | undefined): RemoteTip | undefined {
  if (object === undefined) return undefined;
  if (kind === 'tag') return { kind, name, remote_ref: `refs/tags/${name}`, ref: `refs/tags/${name}`, object };
  if (kind === 'branch')
    return { kind, name, remote_ref: `refs/heads/${name}`, ref: `refs/remotes/origin/${name}`, object };
  return { kind, name, remote_ref: 'HEAD', ref: 'refs/remotes/origin/HEAD', object };
}
