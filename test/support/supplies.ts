import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Something to be granted: a key and a configuration in what is the home of the server's user. */
export function giveCredentials(home: string): void {
  const ssh = join(home, '.ssh');
  mkdirSync(ssh, { mode: 0o700 });
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'test', '-f', join(ssh, 'id_ed25519')]);
  writeFileSync(join(home, '.gitconfig'), '[user]\n\tname = Test\n', { mode: 0o600 });
}

/** A repository of one commit, in a new folder below the directory; returns its path. */
export function makeRepository(below: string): string {
  const directory = join(below, `repository-${crypto.randomUUID()}`);
  mkdirSync(directory);
  const git = (...args: string[]) =>
    execFileSync('git', ['-C', directory, '-c', 'user.name=Test', '-c', 'user.email=test@example.com', ...args]);
  git('init', '--quiet', '--initial-branch=main');
  writeFileSync(join(directory, 'file.txt'), 'content\n');
  git('add', '.');
  git('commit', '--quiet', '-m', 'first');
  return directory;
}
