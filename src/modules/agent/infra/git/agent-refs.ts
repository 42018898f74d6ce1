import { closeSync, fstatSync, readSync } from 'node:fs';
import { walk, type Entry, type Visitor } from './work-tree-walk.js';

const MAX_FILE_BYTES = 4 * 1024 * 1024; // of packed-refs: forty thousand refs
const MAX_REFS = 1_000; // what people have; more would make a commit with more parents than any tool expects
const MAX_LOG_LINES = 100; // of HEAD's log: what was amended or reset away in one run
const SHA = /^[0-9a-f]{40}$/;
const NOTHING = /^0+$/;

/** What an agent's repository points to. Everything in it is what the agent says, no more. */
export interface AgentRefs {
  /** A branch, or a commit where it is detached; null where there is none. */
  head: { ref: string } | { commit: string } | null;
  /** By full name; what is only in a log or in another work tree has a name of ours. */
  refs: Map<string, string>;
  /** The repository is no plain folder, or has more than is read. */
  refused: string | null;
}

/**
 * Reads HEAD, refs, stashes and the logs of HEAD out of the `.git` of a work tree. A `.git` that is a link or a file
 * (of another repository) is refused.
 */
export async function readAgentRefs(root: string, signal?: AbortSignal): Promise<AgentRefs> {
  const reader = new RefReader();
  await walk(root, reader, signal);
  return reader.result();
}

/** The commit that HEAD stands for. */
export function headCommit({ head, refs }: AgentRefs): string | null {
  if (head === null) return null;
  return 'commit' in head ? head.commit : (refs.get(head.ref) ?? null);
}

class RefReader implements Visitor {
  private readonly loose = new Map<string, string>();
  private readonly packed = new Map<string, string>();
  private readonly logged: string[] = [];
  private head: AgentRefs['head'] = null;
  private refused: string | null = null;

  choose(folder: Buffer, entries: Entry[]): Entry[] {
    const path = folder.toString('latin1');
    if (path === '') {
      const repository = entries.filter(({ name }) => name.toString('latin1') === '.git');
      const isPlain = repository.every(({ stat }) => stat.kind === 'folder');
      if (!isPlain) this.refused = 'the .git of the workspace is a link or a file';
      return isPlain ? repository : [];
    }
    if (path.startsWith('.git/refs') || path === '.git/worktrees') return entries;
    const wanted = WANTED[path] ?? (path.startsWith('.git/worktrees/') ? ['HEAD'] : []);
    return entries.filter(({ name }) => wanted.includes(name.toString('latin1')));
  }

  visit(entry: Entry): void {
    const path = entry.path.toString('utf8').slice('.git/'.length);
    const text = textOf(entry);
    if (text === null) return;
    if (path === 'HEAD') this.head = headOf(text);
    else if (path === 'packed-refs') this.readPacked(text);
    else if (path.startsWith('logs/')) this.readLog(path, text);
    else if (path.startsWith('worktrees/'))
      this.keep(this.loose, `refs/heads/kandev-worktree/${path.split('/')[1]}`, text.trim());
    else this.keep(this.loose, path, text.trim());
  }

  leftOut(): void {
    this.refused ??= 'the refs of the repository can not all be read';
  }

  result(): AgentRefs {
    const refs = new Map([...this.packed, ...this.loose]);
    const known = new Set(refs.values());
    let number = 0;
    for (const sha of this.logged) {
      if (known.has(sha) || refs.size >= MAX_REFS) continue;
      known.add(sha);
      refs.set(`refs/heads/kandev-unnamed/${++number}`, sha);
    }
    return { head: this.head, refs, refused: this.refused };
  }

  private readPacked(text: string): void {
    for (const line of text.split('\n')) {
      const [sha = '', name = ''] = line.split(' ');
      if (SHA.test(sha)) this.keep(this.packed, name, sha);
    }
  }

  /** Of a stash only the last one is a ref; the others are in its log. */
  private readLog(path: string, text: string): void {
    const lines = text.split('\n').filter(Boolean);
    for (const line of path === 'logs/HEAD' ? lines.slice(-MAX_LOG_LINES) : lines.slice(-MAX_REFS)) {
      const [before = '', after = ''] = line.split(' ');
      for (const sha of [before, after]) if (SHA.test(sha) && !NOTHING.test(sha)) this.logged.push(sha);
    }
  }

  private keep(into: Map<string, string>, name: string, sha: string): void {
    if (!SHA.test(sha) || NOTHING.test(sha)) return; // a symbolic ref points to one that is read anyway
    if (!isRefName(name)) return;
    if (into.size >= MAX_REFS) this.refused = `the repository has more than ${MAX_REFS} refs`;
    else into.set(name, sha);
  }
}

const WANTED: Record<string, string[]> = {
  '.git': ['HEAD', 'packed-refs', 'refs', 'logs', 'worktrees'],
  '.git/logs': ['HEAD', 'refs'],
  '.git/logs/refs': ['stash'],
};

function headOf(text: string): AgentRefs['head'] {
  const line = text.trim();
  if (SHA.test(line)) return { commit: line };
  const [, ref = ''] = /^ref: (refs\/\S+)$/.exec(line) ?? [];
  return isRefName(ref) ? { ref } : null;
}

/** What git takes for the name of a ref, and no more. */
export function isRefName(name: string): boolean {
  if (!name.startsWith('refs/') || name.length > 255 || !name.isWellFormed()) return false;
  if (/[\0-\x20\x7f~^:?*[\\\ufffd]|\.\.|@\{|\/\/|\.$|\/$/.test(name)) return false;
  return name
    .split('/')
    .every((part) => part !== '' && !part.startsWith('.') && !part.startsWith('-') && !part.endsWith('.lock'));
}

function textOf(entry: Entry): string | null {
  const fd = entry.open();
  if (fd === null) return null;
  try {
    const { size } = fstatSync(fd);
    if (size > MAX_FILE_BYTES) return null;
    const content = Buffer.alloc(size);
    return content.toString('utf8', 0, readSync(fd, content, 0, size, 0));
  } finally {
    closeSync(fd);
  }
}
