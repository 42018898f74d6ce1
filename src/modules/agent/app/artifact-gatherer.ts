import { posix } from 'node:path';
import { Inject, Injectable } from '@nestjs/common';
import { v5 as uuidv5 } from 'uuid';
import { sanitizeText } from '../../../common/acp/sanitize.js';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { AgentFiles, NotCopied, type LeftOutReason } from '../domain/agent-files.js';
import type { AgentInstance } from '../domain/agent-instance.entity.js';
import { Artifact } from '../domain/artifact.entity.js';
import { redactStream } from '../domain/redact-stream.js';
import type { Redactor } from '../domain/redaction.js';
import { TaskDisks, type TaskDisk } from '../domain/task-disks.js';
import { artifactFile } from './artifact-paths.js';
import { ArtifactSources, type Candidate } from './artifact-sources.js';
import { Redactors } from './redactors.js';

const MAX_FILES = 200; // of one attempt; more belong into an archive, or into the repository
const MAX_NAME_LENGTH = 255;

/** A file that was not kept. */
export interface LeftOut {
  /** Where the agent has it. */
  path: string;
  reason: LeftOutReason;
}

/** What was copied out of the agent's reach, as rows that are not yet stored, and what was not. */
export interface Gathered {
  artifacts: Artifact[];
  left_out: LeftOut[];
}

/** Copies what an agent has produced, without its secrets, within the limits of one attempt. */
@Injectable()
export class ArtifactGatherer {
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly files: AgentFiles,
    private readonly sources: ArtifactSources,
    private readonly disks: TaskDisks,
    private readonly redactors: Redactors,
  ) {}

  /** Everything that is there now. Called again: the same, under the same ids. */
  async gather(instance: AgentInstance): Promise<Gathered> {
    const gathered = await this.disks.use(instance.task_id, (disk) => this.from(instance, disk));
    return gathered ?? this.from(instance, null);
  }

  private async from(instance: AgentInstance, disk: TaskDisk | null): Promise<Gathered> {
    const redactor = await this.redactors.of(instance.id);
    const { candidates, more } = await this.sources.find(instance, disk);
    const artifacts: Artifact[] = [];
    const left_out: LeftOut[] = [];
    let room = this.config.artifact.max_total_bytes;
    for (const candidate of candidates) {
      try {
        if (candidate.file.problem) throw new NotCopied(candidate.file.problem);
        if (artifacts.length >= MAX_FILES) throw new NotCopied('too_many');
        const artifact = await this.keep(instance, candidate, room, redactor);
        artifacts.push(artifact);
        room -= artifact.size;
      } catch (error) {
        if (!(error instanceof NotCopied)) throw error;
        left_out.push({ path: shown(candidate.path, redactor), reason: error.reason });
      }
    }
    if (more) left_out.push({ path: 'and others', reason: 'too_many' });
    return { artifacts, left_out };
  }

  /** @throws NotCopied */
  private async keep(
    instance: AgentInstance,
    { root, file, path, type }: Candidate,
    room: number,
    redactor: Redactor,
  ): Promise<Artifact> {
    const { max_bytes } = this.config.artifact;
    if (file.size > max_bytes) throw new NotCopied('too_large');
    if (file.size > room) throw new NotCopied('total');
    const { id: agent_instance_id, task_id, run_id } = instance;
    // The same file of the same agent, whoever collects it; by its bytes, as two may look the same when escaped.
    const raw = Buffer.concat([Buffer.from(path.slice(0, path.length - file.relative_path.length)), file.raw_path]);
    const id = uuidv5(raw, agent_instance_id);
    const copied = await this.files.copy(
      root,
      file.raw_path,
      Math.min(max_bytes, room),
      redactStream(redactor),
      (copy) => artifactFile(this.config, task_id, id, copy.sha256),
    );
    return Object.assign(new Artifact(), {
      ...{ id, task_id, run_id, agent_instance_id, type: redactor.text(type) },
      path: pathOf(path, raw, id, redactor),
      ...{ name: shown(posix.basename(path), redactor).slice(0, MAX_NAME_LENGTH), ...copied, created_at: new Date() },
    });
  }
}

/** What a row says; no two of an agent say the same, also where theirs differ only in what can't be shown. */
function pathOf(path: string, raw: Buffer, id: string, redactor: Redactor): string {
  const text = shown(path, redactor);
  return raw.equals(Buffer.from(text)) ? text : `${text}~${id.slice(-8)}`;
}

function shown(text: string, redactor: Redactor): string {
  return redactor.text(sanitizeText(text));
}
