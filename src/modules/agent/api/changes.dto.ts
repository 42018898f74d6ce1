import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { IsFlag, IsOneOf, IsText } from '../../../common/validation/fields.decorator.js';
import type { CommitView } from '../app/commit-workspace.js';
import type { PushView } from '../app/push-workspace.js';
import { CHANGE_KINDS, type ChangeKind, type Comparison, type FileChange, type LeftOut } from '../domain/work-trees.js';

export const SHA = '9fceb02d0ae598e95dc970b74767f19372d61af8';
const COMMIT = { type: 'string', nullable: true, example: SHA } as const;
const MAX_PATH = 1000; // percent-encoded it has to fit into a request line
const MAX_MESSAGE = 10_000; // characters; a page of reasons

/** Which part of a diff, and how it is written. */
export class DiffRequest {
  /** `text`: one unified diff, as `text/x-diff`. So does `Accept: text/x-diff`. */
  @MayBeAbsent()
  @IsOneOf(['json', 'text'])
  @ApiProperty({ required: false, enumName: 'DiffFormat', example: 'json' })
  format?: 'json' | 'text';

  /** One file only, by its present or its old path. */
  @MayBeAbsent()
  @IsText({ min: 1, max: MAX_PATH })
  @ApiProperty({ required: false, example: 'src/price.js' })
  path?: string;
}

@ApiSchema({ name: 'LeftOutFile' })
export class LeftOutDto implements LeftOut {
  /** Empty where a line stands for many. */
  @ApiProperty({ example: 'node_modules' })
  path: string;

  /** 0 where nobody knows. */
  @ApiProperty({ type: 'integer', example: 73_400_320 })
  bytes: number;

  @ApiProperty({ example: 'ignored, and larger than 10 MiB' })
  why: string;
}

@ApiSchema({ name: 'FileChange' })
export class FileChangeDto implements FileChange {
  /** Bytes that are no UTF-8 are shown as U+FFFD. */
  @ApiProperty({ example: 'src/price.js' })
  path: string;

  /** Where a renamed file was. */
  @ApiProperty({ type: 'string', nullable: true, example: null })
  old_path: string | null;

  @ApiProperty({ enum: CHANGE_KINDS, enumName: 'ChangeKind', example: 'modified' })
  status: ChangeKind;

  /** Lines. */
  @ApiProperty({ type: 'integer', example: 1 })
  additions: number;

  /** Lines. */
  @ApiProperty({ type: 'integer', example: 1 })
  deletions: number;

  @ApiProperty({ example: false })
  binary: boolean;

  /** Unified; null for a binary file, and for what is beyond the limits of an answer. */
  @ApiProperty({
    ...{ type: 'string', nullable: true },
    example: 'diff --git a/src/price.js b/src/price.js\n@@ -1 +1 @@\n-a + b\n+a - b\n',
  })
  patch: string | null;

  /** The patch is not all of it. Ask for this path alone, or for `format=text`. */
  @ApiProperty({ example: false })
  truncated: boolean;
}

@ApiSchema({ name: 'TaskDiff' })
export class TaskDiffDto implements Comparison {
  /** What was checked out; null where there was nothing. */
  @ApiProperty(COMMIT)
  base_commit: string | null;

  /** Where the agent's own HEAD stands; null where it has none. */
  @ApiProperty(COMMIT)
  head: string | null;

  @ApiProperty({ type: [FileChangeDto] })
  files: FileChangeDto[];

  /** All that differ; `files` has the first 3000. */
  @ApiProperty({ type: 'integer', example: 1 })
  total_files: number;

  /** Lines, in all files. */
  @ApiProperty({ type: 'integer', example: 1 })
  additions: number;

  /** Lines, in all files. */
  @ApiProperty({ type: 'integer', example: 1 })
  deletions: number;

  /** Files are missing here, or patches were cut. */
  @ApiProperty({ example: false })
  truncated: boolean;

  /** Files that can't be compared. */
  @ApiProperty({ type: [LeftOutDto] })
  left_out: LeftOutDto[];
}

/** What to commit a workspace with. */
export class CommitRequest {
  /** The task's title where absent. */
  @MayBeAbsent()
  @IsText({ min: 1, max: MAX_MESSAGE, trim: true })
  @ApiProperty({ required: false, example: 'Take the discount off' })
  message?: string;
}

@ApiSchema({ name: 'WorkspaceCommit' })
export class CommitDto implements CommitView {
  /** False: nothing has changed since the last one. */
  @ApiProperty({ example: true })
  committed: boolean;

  /** The task's own branch. */
  @ApiProperty({ example: 'kandev/1a2b3c4d-mend-the-discount' })
  branch: string;

  /** The branch's tip; null where nothing was ever committed. */
  @ApiProperty(COMMIT)
  commit: string | null;

  /** Files that are not in it, ignored ones aside. */
  @ApiProperty({ type: [LeftOutDto] })
  left_out: LeftOutDto[];
}

/** How to push. */
export class PushRequest {
  /** Replaces the remote's branch, if it is still what was pushed last. */
  @MayBeAbsent()
  @IsFlag()
  @ApiProperty({ required: false, default: false, example: false })
  force?: boolean;
}

@ApiSchema({ name: 'WorkspacePush' })
export class PushDto implements PushView {
  @ApiProperty({ example: 'https://github.com/example/cart.git' })
  repository_url: string;

  @ApiProperty({ example: 'kandev/1a2b3c4d-mend-the-discount' })
  branch: string;

  @ApiProperty({ example: SHA })
  commit: string;

  /** The remote's own words; empty where it had none. */
  @ApiProperty({
    example: 'remote: Create a pull request by visiting: https://github.com/example/cart/pull/new/kandev',
  })
  message: string;
}
