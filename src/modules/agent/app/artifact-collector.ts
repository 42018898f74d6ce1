import { join, posix } from 'node:path';
import { Inject, Injectable } from '@nestjs/common';
import { sql } from 'kysely';
import { v5 as uuidv5 } from 'uuid';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { sanitizeText } from '../../../common/acp/sanitize.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { AgentFiles, type FoundFile } from '../domain/agent-files.js';
import type { AgentInstance } from '../domain/agent-instance.entity.js';
import { Artifact } from '../domain/artifact.entity.js';
import { RunDirectories } from '../domain/run-directory.js';
import { Workspaces } from '../domain/workspaces.js';
import type { StreamDB } from './message-log.js';

const MAX_FILES = 200;
const MAX_RESULTS = 20; // the last ones; a message is a mebibyte at most
const MAX_BYTES = 100 * 1024 * 1024; // one file; larger results belong into the repository or elsewhere
const MAX_TYPE_LENGTH = 50;
const MAX_NAME_LENGTH = 255;

const ARTIFACTS_IN_CONTAINER = '/run/kandev/artifacts';
const WORKSPACE_IN_CONTAINER = '/workspace';

/** Keeps what an agent has produced: files named in a `result`, and whatever lies in its artifacts folder. */
@Injectable()
export class ArtifactCollector {
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly transactions: Transactions,
    private readonly files: AgentFiles,
    private readonly runDirectories: RunDirectories,
    private readonly workspaces: Workspaces,
  ) {}

  /** Copies the files to the artifacts directory and returns their rows, not yet stored. Called again: the same. */
  async collect(instance: AgentInstance): Promise<Artifact[]> {
    const folder = join(this.runDirectories.path(instance.id), 'artifacts');
    const named = await this.namedInResults(instance);
    const artifacts = new Map<string, Artifact>();
    for (const file of await this.files.list(folder, MAX_FILES, MAX_BYTES)) {
      const path = posix.join(ARTIFACTS_IN_CONTAINER, file.relative_path);
      artifacts.set(path, await this.keep(instance, file, path, named.get(path) ?? 'file'));
    }
    for (const [path, type] of named) {
      if (artifacts.has(path) || artifacts.size >= MAX_FILES) continue;
      const inside = relativeTo(WORKSPACE_IN_CONTAINER, path);
      if (inside === undefined) continue;
      const file = await this.files.find(this.workspaces.path(instance.task_id), inside, MAX_BYTES);
      if (file) artifacts.set(path, await this.keep(instance, file, path, type));
    }
    return [...artifacts.values()];
  }

  private async keep(instance: AgentInstance, file: FoundFile, path: string, type: string): Promise<Artifact> {
    const id = uuidv5(path, instance.id); // the same file of the same agent, whoever collects it
    const sha256 = await file.copyTo(artifactPath(this.config, instance.task_id, id));
    const name = sanitizeText(posix.basename(path)).slice(0, MAX_NAME_LENGTH);
    const { task_id, run_id } = instance;
    return Object.assign(new Artifact(), {
      ...{ id, task_id, run_id, agent_instance_id: instance.id, name, path: sanitizeText(path) },
      ...{ type, size: file.size, sha256, created_at: new Date() },
    });
  }

  private async namedInResults(instance: AgentInstance): Promise<Map<string, string>> {
    const { rows } = await sql<{ artifacts: { path?: unknown; type?: unknown }[] }>`
      select data -> 'artifacts' as artifacts from acp_messages
      where agent_id = ${instance.id} and type = 'result' and jsonb_typeof(data -> 'artifacts') = 'array'
      order by seq desc limit ${MAX_RESULTS}`.execute(this.transactions.kysely<StreamDB>());
    const named = new Map<string, string>();
    for (const entry of rows.toReversed().flatMap(({ artifacts }) => artifacts.slice(0, MAX_FILES))) {
      const { path, type } = entry ?? {};
      if (typeof path !== 'string') continue;
      named.set(
        this.asInContainer(instance, posix.normalize(path)),
        typeof type === 'string' ? sanitizeText(type).slice(0, MAX_TYPE_LENGTH) : 'file',
      );
    }
    return named;
  }

  /** A process knows its folders by the paths of this host; those are nobody else's business. */
  private asInContainer(instance: AgentInstance, path: string): string {
    const artifact = relativeTo(join(this.runDirectories.path(instance.id), 'artifacts'), path);
    if (artifact !== undefined) return posix.join(ARTIFACTS_IN_CONTAINER, artifact);
    const file = relativeTo(this.workspaces.path(instance.task_id), path);
    return file === undefined ? path : posix.join(WORKSPACE_IN_CONTAINER, file);
  }
}

/** Where the bytes of an artifact are kept. */
export function artifactPath(config: Config, taskId: string, artifactId: string): string {
  return join(config.artifacts_directory, taskId, artifactId);
}

function relativeTo(folder: string, path: string): string | undefined {
  return path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : undefined;
}
