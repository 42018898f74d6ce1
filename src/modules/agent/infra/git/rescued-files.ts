import type { AgentUser } from '../../domain/container-runtime.js';
import { BatchObjects } from './batch-objects.js';
import type { Git } from './git.js';
import { bytesOf } from './git-bytes.js';
import { unescapeName } from './work-tree-names.js';
import { TreeWriter } from './work-tree-writer.js';

const SECONDS = 3_600; // a hundred gigabytes to a slow disk

interface TreeFile {
  mode: string;
  sha: string;
  path: Buffer;
}

/** Writes every file of a rescue's tree below a new folder, as it was. */
export async function writeFiles(
  git: Git,
  gitDir: string,
  ref: string,
  { staging, user, signal }: { staging: string; user: AgentUser; signal: AbortSignal },
): Promise<void> {
  const list = await bytesOf(git, ['ls-tree', '-r', '-z', '--full-tree', '--end-of-options', ref], {
    gitDir,
    signal,
  });
  const files = filesOf(list);
  const writer = new TreeWriter(staging, user);
  const pending = files.values();
  let write: (part: Buffer) => void = () => undefined;
  let close: () => void = () => undefined;
  const begin = (): void => {
    const next = pending.next().value;
    if (!next) throw new Error('git answers more than was asked for');
    const { mode, path } = next;
    if (mode === '120000') {
      const parts: Buffer[] = [];
      [write, close] = [(part) => void parts.push(Buffer.from(part)), () => writer.link(path, Buffer.concat(parts))];
    } else {
      const file = writer.file(path, mode === '100755');
      [write, close] = [(part) => file.write(part), () => file.close()];
    }
  };
  try {
    // In the order of the tree, with the empty folders first: what is in a folder is written while it is open.
    for (const folder of emptyFolders(list)) writer.folder(folder);
    const objects = new BatchObjects({ begin, part: (part) => write(part), end: () => close() });
    const { code, errors } = await git.run(['cat-file', '--batch', '--buffer'], {
      ...{ gitDir, signal, timeoutSeconds: SECONDS },
      stdin: files.map(({ sha }) => `${sha}\n`).join(''),
      stdout: objects,
    });
    if (code !== 0 || !pending.next().done) throw new Error(`the rescue could not be read: ${errors}`);
  } finally {
    writer.close();
  }
}

/** Entries of `ls-tree -r -z` with the names that the files had. */
function entriesOf(list: Buffer): TreeFile[] {
  return list
    .toString('latin1')
    .split('\0')
    .flatMap((line) => {
      const [, mode, sha, path] = /^(\d{6}) \w+ ([0-9a-f]{40,64})\t([^]+)$/.exec(line) ?? [];
      if (mode === undefined || sha === undefined || path === undefined || mode === '160000') return [];
      const names = path.split('/').map((part) => unescapeName(Buffer.from(part, 'latin1')).toString('latin1'));
      return [{ mode, sha, path: Buffer.from(names.join('/'), 'latin1') }];
    });
}

/** A name of which nothing is left stands for an empty folder. */
function isMark({ path }: TreeFile): boolean {
  return path.length === 0 || path.at(-1) === 0x2f;
}

function filesOf(list: Buffer): TreeFile[] {
  return entriesOf(list).filter((entry) => !isMark(entry));
}

function emptyFolders(list: Buffer): Buffer[] {
  return entriesOf(list)
    .filter(isMark)
    .map(({ path }) => path);
}
