import { join, posix } from 'node:path';
import { Injectable } from '@nestjs/common';
import { sql } from 'kysely';
import { sanitizeText } from '../../../common/acp/sanitize.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { AgentFiles, type FoundFile } from '../domain/agent-files.js';
import type { AgentInstance } from '../domain/agent-instance.entity.js';
import { WORKSPACE_TARGET } from '../domain/container-runtime.js';
import { RunDirectories } from '../domain/run-directory.js';
import type { TaskDisk } from '../domain/task-disks.js';
import type { StreamDB } from './message-log.js';
import { segmentsOf } from './message-segments.js';

const MAX_LOOKED_AT = 2_000; // ten times what is kept: enough to name what is left out
const MAX_NAMED = 200;
const MAX_RESULTS = 20; // the last ones; a message is a mebibyte at most
const MAX_TYPE_LENGTH = 50;

const ARTIFACTS_IN_CONTAINER = '/run/kandev/artifacts';

/** A file that may become an artifact. */
export interface Candidate {
  /** The folder of the host it lies below. */
  root: string;
  file: FoundFile;
  /** Where the agent has it. */
  path: string;
  /** What the agent calls it, or `file`. */
  type: string;
}

/** What an agent has produced: whatever lies in its artifacts folder, and the files that its results name. */
@Injectable()
export class ArtifactSources {
  constructor(
    private readonly transactions: Transactions,
    private readonly files: AgentFiles,
    private readonly runDirectories: RunDirectories,
  ) {}

  /** Candidates, those in the folder first. `disk` null: the workspace is gone. `more`: there are others, not looked at. */
  async find(instance: AgentInstance, disk: TaskDisk | null): Promise<{ candidates: Candidate[]; more: boolean }> {
    const folder = join(this.runDirectories.path(instance.id), 'artifacts');
    const named = await this.namedInResults(instance, folder, disk);
    const { files, more } = await this.files.list(folder, MAX_LOOKED_AT);
    const candidates = files.map((file): Candidate => {
      const path = posix.join(ARTIFACTS_IN_CONTAINER, file.relative_path);
      return { root: folder, file, path, type: named.get(path) ?? 'file' };
    });
    const found = new Set(candidates.map(({ path }) => path)); // two of them may read the same when escaped
    for (const [path, type] of named) {
      if (!found.has(path)) candidates.push({ ...(await this.inWorkspace(path, disk)), path, type });
    }
    return { candidates, more };
  }

  private async inWorkspace(path: string, disk: TaskDisk | null): Promise<{ root: string; file: FoundFile }> {
    const inside = relativeTo(WORKSPACE_TARGET, path);
    const nowhere = { relative_path: path, raw_path: Buffer.from(path), size: 0 };
    if (inside !== undefined && disk)
      return { root: disk.workspace, file: await this.files.find(disk.workspace, inside) };
    const isHere = inside !== undefined || relativeTo(ARTIFACTS_IN_CONTAINER, path) !== undefined;
    return { root: '', file: { ...nowhere, problem: isHere ? 'absent' : 'outside' } };
  }

  private async namedInResults(
    instance: AgentInstance,
    folder: string,
    disk: TaskDisk | null,
  ): Promise<Map<string, string>> {
    const db = this.transactions.kysely<StreamDB>();
    const segments = await segmentsOf(db, instance.task_id);
    const { rows } = await sql<{ artifacts: { path?: unknown; type?: unknown }[] }>`
      select data -> 'artifacts' as artifacts from acp_messages
      where segment = any(${segments}::int[]) and agent_id = ${instance.id} and type = 'result'
        and json_typeof(data -> 'artifacts') = 'array'
      order by seq desc limit ${MAX_RESULTS}`.execute(db);
    const named = new Map<string, string>();
    for (const entry of rows.toReversed().flatMap(({ artifacts }) => artifacts.slice(0, MAX_NAMED))) {
      const { path, type } = entry ?? {};
      if (typeof path !== 'string') continue;
      named.set(
        asInContainer(posix.normalize(path), folder, disk),
        typeof type === 'string' ? sanitizeText(type).slice(0, MAX_TYPE_LENGTH) : 'file',
      );
    }
    return named;
  }
}

/** A process knows its folders by the paths of this host; those are nobody else's business. */
function asInContainer(path: string, folder: string, disk: TaskDisk | null): string {
  const artifact = relativeTo(folder, path);
  if (artifact !== undefined) return posix.join(ARTIFACTS_IN_CONTAINER, artifact);
  const file = disk ? relativeTo(disk.workspace, path) : undefined;
  return file === undefined ? path : posix.join(WORKSPACE_TARGET, file);
}

function relativeTo(folder: string, path: string): string | undefined {
  return path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : undefined;
}
