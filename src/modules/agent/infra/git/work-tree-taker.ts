import { IGNORED, losesWork, NO_FILE, type LeftOut } from '../../domain/work-trees.js';
import type { BlobWriter } from './work-tree-blobs.js';
import type { IgnoreRules } from './work-tree-ignores.js';
import { EMPTY_FOLDER, escapeName, isLikeGit, quotePath, readable } from './work-tree-names.js';
import type { Entry, Visitor } from './work-tree-walk.js';

/** What is tracked, by path as Latin-1: `git ls-tree -r` of the commits that the work tree stems from. */
export type Tracked = ReadonlyMap<string, { mode: string; sha: string }>;

const MAX_IGNORED_BYTES = 10 * 1024 * 1024; // of one ignored file or folder: secrets and notes, not what was downloaded or built
const MAX_NAMED = 1_000; // of what was left out; the rest is counted in one line

/** Decides what of a work tree is taken, and keeps the lines of its tree for `git fast-import`. */
export class Taker implements Visitor {
  readonly lines: Buffer[] = [];
  private files = 0;
  private bytes = 0;
  private readonly named: LeftOut[] = [];
  private unnamed = 0;
  private unnamedIgnored = 0;
  /** Folders that are taken as they are, with what is ignored in them. */
  private whole: string | undefined;
  private readonly trackedFolders = new Set<string>();

  constructor(
    private readonly options: { tracked: Tracked; take: 'changes' | 'everything' },
    private readonly rules: IgnoreRules,
    private readonly blobs: BlobWriter,
  ) {
    for (const path of options.tracked.keys()) {
      for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
        const folder = path.slice(0, end);
        if (this.trackedFolders.has(folder)) break;
        this.trackedFolders.add(folder);
      }
    }
  }

  private get everything(): boolean {
    return this.options.take === 'everything';
  }

  async choose(folder: Buffer, entries: Entry[], depth: number): Promise<Entry[]> {
    const path = folder.toString('latin1');
    const present = depth === 0 ? this.withoutRepository(entries) : entries;
    if (this.everything && path === '.git') return present.filter(({ name }) => name.equals(MODULES));
    if (this.whole !== undefined && (path === this.whole || path.startsWith(`${this.whole}/`))) return present;
    this.whole = undefined;
    const kept = this.everything ? present : present.filter((entry) => this.keepsSubmodule(entry));
    const ignored = await this.rules.ignored(
      folder,
      kept.filter((entry) => !isTopRepository(entry)),
    );
    const chosen: Entry[] = [];
    for (const entry of kept) {
      if (!ignored.has(entry) || this.isTracked(entry) || (this.everything && (await this.isSmall(entry))))
        chosen.push(entry);
    }
    return chosen;
  }

  async visit(entry: Entry): Promise<void> {
    const { path, stat } = entry;
    if (stat.kind === 'other') return this.leftOut(path, 0, NO_FILE);
    const known = this.options.tracked.get(path.toString('latin1'));
    const blob = await this.blobs.write(entry, known ? { sha: known.sha, any_line_ends: !this.everything } : null);
    if ('why' in blob) return this.leftOut(path, stat.size, blob.why);
    const mode = stat.kind === 'link' ? '120000' : stat.executable ? '100755' : '100644';
    this.files++;
    this.bytes += blob.bytes;
    const asIs = known?.mode === mode && known.sha === blob.sha;
    this.add(mode, blob.sha, this.everything ? this.escaped(path, asIs) : path);
    if (blob.torn) this.name(path, stat.size, 'changed while it was read: taken as it was then');
  }

  empty(folder: Buffer): void {
    if (!this.everything || folder.length === 0) return;
    const marker = Buffer.concat([this.escaped(folder, false), Buffer.from('/'), EMPTY_FOLDER]);
    this.lines.push(Buffer.concat([Buffer.from('M 100644 inline '), quotePath(marker), Buffer.from('\ndata 0\n')]));
  }

  leftOut(path: Buffer, bytes: number, why: string): void {
    this.name(path, bytes, why);
  }

  summary(): { files: number; bytes: number; left_out: LeftOut[] } {
    const more = [
      ...(this.unnamed === 0 ? [] : [`and ${this.unnamed} more`]),
      ...(this.unnamedIgnored === 0 ? [] : [`${IGNORED}, or no file: ${this.unnamedIgnored} more`]),
    ];
    const rest = more.map((why) => ({ path: '', bytes: 0, why }));
    return { files: this.files, bytes: this.bytes, left_out: [...this.named, ...rest] };
  }

  /** Of the repository at the top only what its submodules have is files for us; the rest is read as a repository. */
  private withoutRepository(entries: Entry[]): Entry[] {
    return entries.filter((entry) => !isTopRepository(entry) || (this.everything && entry.stat.kind === 'folder'));
  }

  /** A submodule stays what it was; a repository within is left where it is. False: not to be looked into. */
  private keepsSubmodule({ path, name, stat }: Entry): boolean {
    const known = this.options.tracked.get(path.toString('latin1'));
    if (known?.mode === SUBMODULE && stat.kind === 'folder') {
      this.add(SUBMODULE, known.sha, path);
      return false;
    }
    if (!isLikeGit(name)) return true;
    this.name(path, stat.size, 'git keeps no repository within another');
    return false;
  }

  private isTracked({ path, stat }: Entry): boolean {
    const key = path.toString('latin1');
    return this.options.tracked.has(key) || (stat.kind === 'folder' && this.trackedFolders.has(key));
  }

  private async isSmall(entry: Entry): Promise<boolean> {
    const { path, stat } = entry;
    const bytes = stat.kind === 'folder' ? await entry.measure(MAX_IGNORED_BYTES) : stat.size;
    if (bytes > MAX_IGNORED_BYTES) {
      this.name(path, bytes === Infinity ? 0 : bytes, `${IGNORED}, and larger than 10 MiB`);
      return false;
    }
    return true;
  }

  private escaped(path: Buffer, asIs: boolean): Buffer {
    const parts = path.toString('latin1').split('/');
    const names = parts.map((part, index) => {
      const isLast = index === parts.length - 1;
      const isKnown = isLast ? asIs : this.trackedFolders.has(parts.slice(0, index + 1).join('/'));
      return escapeName(Buffer.from(part, 'latin1'), isKnown).toString('latin1');
    });
    return Buffer.from(names.join('/'), 'latin1');
  }

  private add(mode: string, sha: string, path: Buffer): void {
    this.lines.push(Buffer.concat([Buffer.from(`M ${mode} ${sha} `), quotePath(path), Buffer.from('\n')]));
  }

  private name(path: Buffer, bytes: number, why: string): void {
    const one = { path: readable(path), bytes, why };
    if (this.named.length < MAX_NAMED) this.named.push(one);
    else if (losesWork([one])) this.unnamed++;
    else this.unnamedIgnored++;
  }
}

const SUBMODULE = '160000';
const MODULES = Buffer.from('modules');

function isTopRepository({ path }: Entry): boolean {
  return path.equals(REPOSITORY);
}
const REPOSITORY = Buffer.from('.git');
