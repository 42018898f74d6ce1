import { PassThrough, type Readable, Writable } from 'node:stream';
import type { Comparison, FileChange, WorkTree } from '../../domain/work-trees.js';
import { headCommit, readAgentRefs } from './agent-refs.js';
import type { GitOptions } from './git.js';
import { bytesOf } from './git-bytes.js';
import { ownersOf, readChanges } from './diff-list.js';
import { PatchSections } from './patch-sections.js';
import { EMPTY_TREE, type WorkTreeReader } from './work-tree-reader.js';

const MAX_FILES = 3_000; // in one answer; what people can look at is far less, and totals count all
const MAX_PATCH_BYTES = 256 * 1024; // of one file
const MAX_PATCHES_BYTES = 4 * 1024 * 1024; // of all files of one answer
const MAX_TEXT_BYTES = 64 * 1024 * 1024; // of a plain diff, which is streamed
const SECONDS = 120;

/** No program is run for a file, whatever attributes say; renames are found among so many files that it stays quick. */
const DIFF = [
  ...['-c', 'core.quotePath=false', '-c', 'core.bigFileThreshold=16m', '-c', 'diff.renameLimit=1000'],
  ...[
    'diff-tree',
    '-r',
    '-M',
    '--no-commit-id',
    '--no-ext-diff',
    '--no-textconv',
    '--src-prefix=a/',
    '--dst-prefix=b/',
  ],
];

interface Range {
  gitDir: string;
  from: string;
  to: string;
  signal: AbortSignal;
}

/** Differences between what was checked out and what is there now. */
export class WorkTreeDiff {
  constructor(private readonly reader: WorkTreeReader) {}

  async compare(tree: WorkTree, path: string | null, signal: AbortSignal): Promise<Comparison> {
    const { gitDir, tree: to, left_out } = await this.reader.snapshot(tree, 'changes', signal);
    const range = { gitDir, from: tree.base_commit ?? EMPTY_TREE, to, signal };
    const changes = await this.list(range);
    const wanted = changes.filter((file) => path === null || file.path === path || file.old_path === path);
    await this.addPatches(range, changes, new Set(wanted.slice(0, MAX_FILES)));
    const files = wanted.slice(0, MAX_FILES);
    const sum = (key: 'additions' | 'deletions') => wanted.reduce((total, file) => total + file[key], 0);
    return {
      base_commit: tree.base_commit,
      head: headCommit(await readAgentRefs(tree.root, signal)),
      files,
      total_files: wanted.length,
      ...{ additions: sum('additions'), deletions: sum('deletions') },
      truncated: wanted.length > files.length || files.some(({ truncated }) => truncated),
      left_out,
    };
  }

  async patch(tree: WorkTree, path: string | null, signal: AbortSignal): Promise<Readable> {
    const { gitDir, tree: to } = await this.reader.snapshot(tree, 'changes', signal);
    const range = { gitDir, from: tree.base_commit ?? EMPTY_TREE, to, signal };
    const changes = await this.list(range);
    const sink = new PassThrough();
    let bytes = 0;
    const owners = ownersOf(changes);
    const sections = new PatchSections(async (index, part) => {
      const file = owners[index];
      if (path !== null && file?.path !== path && file?.old_path !== path) return;
      bytes += part.length;
      if (bytes > MAX_TEXT_BYTES) throw new Error('the diff is larger than is sent; ask for single files');
      if (!sink.write(part)) await drained(sink);
    });
    this.run(range, ['-p'], sections).then(
      () => sink.end(),
      (error: unknown) => sink.destroy(error as Error),
    );
    return sink;
  }

  private async list(range: Range): Promise<FileChange[]> {
    const args = [...DIFF, '-z', '--raw', '--numstat', range.from, range.to];
    const { gitDir, signal } = range;
    const options: GitOptions = { gitDir, signal, timeoutSeconds: SECONDS };
    const fields = (await bytesOf(this.reader.git, args, options)).toString('latin1').split('\0');
    return readChanges(fields);
  }

  private async addPatches(range: Range, changes: FileChange[], wanted: ReadonlySet<FileChange>): Promise<void> {
    const owners = ownersOf(changes);
    const last = owners.findLastIndex((file) => wanted.has(file));
    if (last < 0) return;
    const parts = new Map<FileChange, Buffer[]>();
    const enough = new AbortController();
    let total = 0;
    const sections = new PatchSections((index, part) => {
      const file = owners[index];
      if (index > last) return enough.abort();
      if (!file || !wanted.has(file) || file.binary) return;
      const mine = parts.get(file) ?? [];
      parts.set(file, mine);
      const room = Math.min(
        MAX_PATCH_BYTES - mine.reduce((sum, { length }) => sum + length, 0),
        MAX_PATCHES_BYTES - total,
      );
      if (part.length > room) file.truncated = true;
      const kept = part.subarray(0, Math.max(0, room));
      total += kept.length;
      mine.push(Buffer.from(kept));
    });
    await this.run({ ...range, signal: AbortSignal.any([range.signal, enough.signal]) }, ['-p'], sections).catch(
      (error: unknown) => {
        if (!enough.signal.aborted) throw error;
      },
    );
    for (const [file, pieces] of parts) {
      const text = Buffer.concat(pieces).toString('utf8').toWellFormed().replaceAll('\0', '\ufffd');
      // What was cut off ends with its last whole line.
      file.patch = file.truncated ? text.slice(0, text.lastIndexOf('\n') + 1) || null : text;
    }
  }

  private async run({ gitDir, from, to, signal }: Range, flags: string[], stdout: Writable): Promise<void> {
    const options = { gitDir, signal, stdout, timeoutSeconds: SECONDS };
    const { code, errors } = await this.reader.git.run([...DIFF, ...flags, from, to], options);
    if (code !== 0) throw new Error(`git diff-tree failed: ${errors}`);
  }
}

async function drained(sink: PassThrough): Promise<void> {
  if (sink.destroyed) throw new Error('nobody reads the diff any more');
  await new Promise<void>((resolve, reject) => {
    sink.once('drain', resolve);
    sink.once('close', () => reject(new Error('nobody reads the diff any more')));
  });
}
