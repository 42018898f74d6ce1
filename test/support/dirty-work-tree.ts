import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { git } from './repository.js';

const AUTHOR = ['-c', 'user.name=Agent', '-c', 'user.email=agent@example.com', '-c', 'commit.gpgSign=false'];

/** Numbers that look random and are the same for the same seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const NAMES = [
  ...[
    'plain.txt',
    'two words',
    '-rf',
    '--upload-pack=x',
    ':(top)x',
    '#hash',
    '"quoted"',
    "it's",
    'tab\there',
    'new\nline',
  ],
  ...[
    'back\\slash',
    '\\.git',
    'ünïcode',
    '日本',
    '.hidden',
    '...',
    '..x',
    '.gitignore.bak',
    'git~1',
    '.GIT',
    '.git.',
    '.git%kandev',
  ],
  ...[
    '%kandev',
    'x%kandev',
    '.gitattributes',
    '.mailmap',
    'trailing ',
    ' leading',
    'a:b',
    'con',
    '~',
    '*',
    '?',
    '\x01ctl',
    '\x7f',
  ],
].map((name) => Buffer.from(name));
const BYTES = [Buffer.from([0x66, 0xff, 0xfe]), Buffer.from([0xc3, 0x28]), Buffer.from([0xed, 0xa0, 0x80])];

/** What an agent may leave behind, by a seed: everything that people and bad agents do to a work tree. */
export class DirtyWorkTree {
  private readonly random: () => number;
  private made = 0;

  constructor(
    readonly directory: string,
    readonly seed: number,
  ) {
    this.random = randomOf(seed);
  }

  /** Commits, branches, stashes; then files; then traps, of which none may ever fire. */
  soil(canary: string): void {
    if (existsSync(join(this.directory, '.git'))) this.history();
    for (let count = 0; count < 30; count++) this.act();
    this.ignored();
    if (this.chance(0.7)) this.embed();
    if (this.chance(0.3)) this.deep();
    if (existsSync(join(this.directory, '.git'))) this.traps(canary);
  }

  private chance(likely: number): boolean {
    return this.random() < likely;
  }

  private pick<T>(of: readonly T[]): T {
    return of[Math.floor(this.random() * of.length)]!;
  }

  private git(...args: string[]): string {
    return git(this.directory, ...AUTHOR, ...args);
  }

  private history(): void {
    const start = this.git('rev-parse', '--abbrev-ref', 'HEAD').trim();
    for (let branch = 0; branch < 3; branch++) {
      if (this.chance(0.6)) this.git('checkout', '-q', '-b', `agent/branch-${branch}`);
      for (let commit = 0; commit < 2; commit++) {
        writeFileSync(join(this.directory, `committed-${branch}-${commit}.txt`), this.text());
        this.git('add', '-A');
        this.git('commit', '-qm', `Commit ${branch}.${commit}`);
      }
    }
    if (this.chance(0.5)) this.git('tag', '-a', '-m', 'A tag', 'v-agent');
    for (let stash = 0; stash < 2; stash++) {
      writeFileSync(join(this.directory, 'README.md'), this.text());
      this.git('stash', 'push', '-q', '-m', `Stash ${stash}`);
    }
    const end = this.random();
    if (end < 0.3) this.git('checkout', '-q', '--detach');
    else if (end < 0.5) this.git('checkout', '-q', start);
    if (this.chance(0.3)) this.git('gc', '-q', '--prune=now');
    if (this.chance(0.3)) this.git('pack-refs', '--all');
  }

  private folders(): Buffer[] {
    const found = [Buffer.from(this.directory)];
    for (const folder of found) {
      if (found.length > 50) break;
      for (const name of readdirSync(folder, { encoding: 'buffer' })) {
        const path = Buffer.concat([folder, Buffer.from('/'), name]);
        if (lstatSync(path).isDirectory() && !name.equals(Buffer.from('.git'))) found.push(path);
      }
    }
    return found;
  }

  private place(): Buffer {
    const name = this.chance(0.25) ? this.pick(BYTES) : this.pick(NAMES);
    const unique = this.chance(0.4) ? Buffer.concat([name, Buffer.from(String(this.made++))]) : name;
    const folder = this.pick(this.folders());
    // The repository's own folder is the agent's, but not what this is about.
    return Buffer.concat([folder, Buffer.from('/'), unique]);
  }

  private text(): string {
    return `${'line of text\n'.repeat(Math.floor(this.random() * 50))}${this.random()}\n`;
  }

  private bytes(): Buffer {
    if (this.chance(0.1)) return Buffer.alloc(0);
    if (this.chance(0.05)) return Buffer.alloc(2 * 1024 * 1024 + 17, this.seed & 0xff);
    return this.chance(0.5)
      ? Buffer.from(this.text())
      : Buffer.from(Array.from({ length: 100 }, () => this.random() * 256));
  }

  private act(): void {
    const place = this.place();
    if (existsSync(place) || isThere(place)) {
      if (this.chance(0.3)) rmSync(place, { recursive: true, force: true });
      return;
    }
    const kind = this.random();
    if (kind < 0.55) {
      writeFileSync(place, this.bytes());
      if (this.chance(0.3)) chmodSync(place, 0o755);
    } else if (kind < 0.7) mkdirSync(place);
    else if (kind < 0.85) symlinkSync(this.pick(['README.md', '/etc/passwd', '../../..', 'nowhere', '.']), place);
    else if (kind < 0.93 && isThere(join(this.directory, 'README.md')))
      renameSync(join(this.directory, 'README.md'), place);
    else rmSync(join(this.directory, 'src'), { recursive: true, force: true });
  }

  private ignored(): void {
    const rules = join(this.directory, '.gitignore');
    if (!isThere(rules)) writeFileSync(rules, '*.log\nbuild/\n.env\n');
    for (const [name, content] of [
      ['.env', 'SECRET=1\n'],
      ['x.log', 'log\n'],
    ] as const)
      if (!isThere(join(this.directory, name))) writeFileSync(join(this.directory, name), content);
    if (isThere(join(this.directory, 'build'))) return;
    mkdirSync(join(this.directory, 'build/empty'), { recursive: true });
    writeFileSync(join(this.directory, 'build/out.bin'), this.bytes());
  }

  private embed(): void {
    const inner = join(this.directory, `embedded-${this.made++}`);
    mkdirSync(inner);
    git(inner, 'init', '-q');
    writeFileSync(join(inner, 'file'), this.text());
    git(inner, 'add', '-A');
    git(inner, ...AUTHOR, 'commit', '-qm', 'Inner');
    writeFileSync(join(inner, 'file'), this.text());
  }

  private deep(): void {
    let path = this.directory;
    for (let level = 0; level < 200; level++) path = join(path, 'deep');
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, 'bottom'), this.text());
  }

  /** Settings that run a command as soon as any git looks at the work tree through its own `.git`. */
  private traps(canary: string): void {
    const command = `touch ${canary}`;
    const settings = {
      'core.fsmonitor': command,
      'diff.external': command,
      'core.pager': command,
      'core.sshCommand': command,
      'core.hooksPath': join(this.directory, '.git/evil-hooks'),
      'filter.evil.clean': command,
      'filter.evil.smudge': command,
      'filter.evil.process': command,
      'diff.evil.textconv': command,
      'core.worktree': '/',
      'gpg.program': command,
      'uploadpack.packObjectsHook': command,
    };
    for (const [key, value] of Object.entries(settings)) this.git('config', key, value);
    mkdirSync(join(this.directory, '.git/evil-hooks'), { recursive: true });
    for (const hook of ['reference-transaction', 'post-checkout', 'pre-push', 'post-index-change', 'pre-commit'])
      writeFileSync(join(this.directory, '.git/evil-hooks', hook), `#!/bin/sh\n${command}\n`, { mode: 0o755 });
    const attributes = join(this.directory, '.gitattributes');
    if (!isThere(attributes)) writeFileSync(attributes, '* filter=evil diff=evil\n');
    mkdirSync(join(this.directory, '.git/objects/info'), { recursive: true });
    writeFileSync(join(this.directory, '.git/objects/info/alternates'), '/etc\n');
    if (this.chance(0.5)) execFileSync('mkfifo', [join(this.directory, 'src-fifo')]);
  }
}

function isThere(path: string | Buffer): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

/**
 * One hash of a work tree as people see it: names as bytes, contents, targets of links, what may be executed, empty
 * folders; without the repository at the top, and without FIFOs, which nothing can keep.
 */
export function treeHash(root: string): string {
  const hash = createHash('sha256');
  const visit = (folder: Buffer, depth: number): void => {
    for (const name of readdirSync(folder, { encoding: 'buffer' }).toSorted((a, b) => a.compare(b))) {
      if (depth === 0 && name.equals(Buffer.from('.git'))) continue;
      const path = Buffer.concat([folder, Buffer.from('/'), name]);
      const stat = lstatSync(path);
      const kind = stat.isDirectory() ? 'd' : stat.isSymbolicLink() ? 'l' : stat.isFile() ? 'f' : 'other';
      if (kind === 'other') continue;
      hash.update(`${depth} ${kind} ${name.toString('hex')} `);
      if (kind === 'f')
        hash.update(`${(stat.mode & 0o100) === 0 ? '-' : 'x'} ${stat.size} `).update(readFileSync(path));
      if (kind === 'l') hash.update(readlinkSync(path, { encoding: 'buffer' }));
      if (kind === 'd') visit(path, depth + 1);
    }
    hash.update('up ');
  };
  visit(Buffer.from(root), 0);
  return hash.digest('hex');
}
