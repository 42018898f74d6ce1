import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { docker } from './containers.js';

/** Makes an image of nothing but these files, tagged `latest`. */
export async function importImage(repo: string, files: Record<string, string | Buffer>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'kandev-image-'));
  try {
    for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content, { mode: 0o755 });
    const tar = join(directory, 'image.tar');
    execFileSync('tar', ['-C', directory, '-cf', tar, ...Object.keys(files)]);
    const answer = await docker.importImage(createReadStream(tar), { repo, tag: 'latest' });
    answer.resume();
    await once(answer, 'end');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
