import { constants, fstatSync, readSync } from 'node:fs';
import { lchown, lstat, mkdir, open, readdir, rename, writeFile, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { Inject, Injectable } from '@nestjs/common';
import { CONFIG } from '../../../../common/config/config.module.js';
import type { Config } from '../../../../common/config/config.js';
import type { AgentUser } from '../../domain/container-runtime.js';
import {
  OutputFile,
  RunDirectories,
  type AgentBriefing,
  type OutputSource,
  type RunDirectoryOptions,
} from '../../domain/run-directory.js';
import type { StartFailure } from '../../domain/start-failure.js';
import { needsChown } from '../agent-user.js';
import { writeControlLine } from './control-pipe.js';
import { FEED, makeInput, writeInputFile } from './input-file.js';
import { readStartFailure, writeToFifo } from './launcher-files.js';
import { removeTree } from './remove-tree.js';
import { openRegularFile } from './open-regular-file.js';
import { watchGently } from './watch-gently.js';

const FILE_OF: Record<OutputSource, string> = { stdout: 'out', stderr: 'err' };
const MAKE = constants.O_CREAT | constants.O_APPEND | constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const UUID = /^[0-9a-f-]{36}$/;

/** Run directories below `KANDEV_HOME/runs`, one per agent. */
@Injectable()
export class HostRunDirectories extends RunDirectories {
  constructor(@Inject(CONFIG) private readonly config: Config) {
    super();
  }

  path(agentId: string): string {
    if (!UUID.test(agentId)) throw new Error('not an agent id'); // it becomes a path
    return join(this.config.runs_directory, agentId);
  }

  async prepare(
    agentId: string,
    { task, api_key }: AgentBriefing,
    user: AgentUser,
    { feed = false }: RunDirectoryOptions = {},
  ): Promise<void> {
    const directory = this.path(agentId);
    const isNew = (await mkdir(directory, { recursive: true, mode: 0o700 })) !== undefined;
    const at = (name: string): string => join(directory, name);
    const write = isNew ? writeNew : replaceFile; // nobody has left anything in a new one
    // Each file as one chain of steps, all of them at once: they wait for the disk together.
    const made = await Promise.allSettled([
      mkdir(at('artifacts'), { recursive: true, mode: 0o700 }),
      // Where a kill and bad luck have made an agent's leavings look half-made, a link of the agent's is never followed.
      ...Object.values(FILE_OF).map(async (file) => (await open(at(file), MAKE, 0o600)).close()),
      write(at('task.json'), `${JSON.stringify(task, null, 2)}\n`),
      write(at('api-key'), api_key),
      ...(feed ? [makeInput(directory)] : []),
    ]);
    for (const one of made) if (one.status === 'rejected') throw one.reason;
    if (!needsChown(user)) return;
    const names = ['', 'artifacts', ...Object.values(FILE_OF), 'task.json', 'api-key', ...(feed ? [FEED.file] : [])];
    await Promise.all(names.map((name) => lchown(at(name), user.uid, user.gid)));
  }

  async openOutput(agentId: string, source: OutputSource): Promise<OutputFile | null> {
    const handle = await openRegularFile(join(this.path(agentId), FILE_OF[source]));
    return handle && new HostOutputFile(handle);
  }

  async wasStarted(agentId: string): Promise<boolean> {
    return exists(join(this.path(agentId), 'started'));
  }

  async hasBegun(agentId: string): Promise<boolean> {
    return exists(join(this.path(agentId), 'begun'));
  }

  async openGate(agentId: string): Promise<boolean> {
    return writeToFifo(join(this.path(agentId), 'gate'), 'x');
  }

  async startFailure(agentId: string): Promise<StartFailure | null> {
    return readStartFailure(join(this.path(agentId), 'exec-error.json'));
  }

  watch(agentId: string, onChange: () => void): () => void {
    return watchGently(this.path(agentId), onChange); // the reader's slow poll serves where that tells nothing
  }

  async sendControl(agentId: string, message: object): Promise<boolean> {
    if (await exists(join(this.path(agentId), FEED.file))) return false;
    return writeControlLine(join(this.path(agentId), 'in'), JSON.stringify(message));
  }

  async writeInput(agentId: string, at_byte: number, bytes: Buffer): Promise<boolean> {
    return writeInputFile(this.path(agentId), at_byte, bytes);
  }

  async remove(agentId: string): Promise<void> {
    await removeTree(this.path(agentId));
  }

  async list(): Promise<string[]> {
    const names = await readdir(this.config.runs_directory).catch(() => []);
    return names.filter((name) => UUID.test(name));
  }
}

/** What most reads ask for; for these there is one buffer, as a new one each would be thousands a second. */
const SMALL_READ = 80 * 1024;

/** A tail that is this short was written a moment ago: an agent at work writes less between two reads. */
const FRESH_BYTES = 16 * 1024;

class HostOutputFile extends OutputFile {
  private small: Buffer | undefined;

  constructor(private readonly handle: FileHandle) {
    super();
  }

  async size(): Promise<number> {
    return (await this.handle.stat()).size;
  }

  async read(offset: number, length: number): Promise<Buffer> {
    const buffer = length > SMALL_READ ? Buffer.allocUnsafe(length) : (this.small ??= Buffer.allocUnsafe(SMALL_READ));
    const there = fstatSync(this.handle.fd).size - offset;
    if (there <= 0) return buffer.subarray(0, 0);
    // What was just written is in memory: two thread switches would take longer than all the rest of the read.
    if (there <= FRESH_BYTES) return buffer.subarray(0, readSync(this.handle.fd, buffer, 0, length, offset));
    const { bytesRead } = await this.handle.read(buffer, 0, length, offset);
    return buffer.subarray(0, bytesRead);
  }

  async close(): Promise<void> {
    await this.handle.close();
  }
}

async function writeNew(path: string, content: string): Promise<void> {
  await writeFile(path, content, { mode: 0o600, flag: 'wx' });
}

/** Writes the file whole, for its owner alone; whatever an agent has left under the names is replaced, not followed. */
async function replaceFile(path: string, content: string): Promise<void> {
  await removeTree(`${path}.new`);
  await writeNew(`${path}.new`, content);
  await rename(`${path}.new`, path);
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
