import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AttemptFailure } from '../../domain/outcome.js';

const NAME = 'kandev-launcher';
/** Of its digest: as many hex digits as tell versions apart. */
const DIGITS = 16;
const ARCHITECTURES = ['amd64', 'arm64'];

/**
 * The launcher as a file that the engine's host sees: below `KANDEV_HOME`, which a server in a container has mounted at
 * the same path. Another version lies beside it, so that containers made before an upgrade still start.
 */
export class LauncherFile {
  private readonly copies = new Map<string, Promise<string>>();

  constructor(private readonly home: string) {}

  /**
   * Its path, copied there first if need be. `architecture` as Go names them.
   * @throws AttemptFailure `container.start_failed` where there is none for the engine
   */
  async path(architecture: string): Promise<string> {
    if (!ARCHITECTURES.includes(architecture)) {
      throw new AttemptFailure(
        'container.start_failed',
        `The engine runs on ${architecture}; agents can be started on ${ARCHITECTURES.join(' and ')} only.`,
      );
    }
    const known = await this.copies.get(architecture)?.catch(() => undefined);
    if (known !== undefined && existsSync(known)) return known;
    const copy = this.copy(architecture);
    this.copies.set(architecture, copy);
    return copy;
  }

  private async copy(architecture: string): Promise<string> {
    const program = await readFile(join(packagedBinaries(), `${NAME}-linux-${architecture}`));
    const digest = createHash('sha256').update(program).digest('hex').slice(0, DIGITS);
    const path = join(this.home, 'launcher', digest, NAME);
    // What a power cut has left of an earlier copy is not it.
    if ((await readFile(path).catch(() => null))?.equals(program)) return path;
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const partial = `${path}.${randomUUID()}`;
    try {
      await writeFile(partial, program, { mode: 0o500, flush: true });
      await chmod(partial, 0o555); // the agent's user runs it, nobody writes it
      await rename(partial, path);
    } finally {
      await rm(partial, { force: true });
    }
    return path;
  }
}

/** `launcher/bin` of this package, from the source as well as from what is built of it. */
function packagedBinaries(): string {
  for (let folder = import.meta.dirname; folder !== dirname(folder); folder = dirname(folder)) {
    const binaries = join(folder, 'launcher', 'bin');
    if (existsSync(binaries)) return binaries;
  }
  throw new Error('launcher/bin is not where the server was installed');
}
