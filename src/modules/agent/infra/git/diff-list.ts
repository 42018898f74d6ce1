import type { ChangeKind, FileChange } from '../../domain/work-trees.js';
import { readable } from './work-tree-names.js';

const KINDS: Record<string, ChangeKind> = { A: 'added', M: 'modified', D: 'deleted', R: 'renamed', T: 'type_changed' };

/** The file of each section of a patch: one whose type has changed has two, going and coming. */
export function ownersOf(changes: readonly FileChange[]): FileChange[] {
  return changes.flatMap((file) => (file.status === 'type_changed' ? [file, file] : [file]));
}

/** From the fields of `--raw --numstat -z`: first all files with their status, then the same with their counts. */
export function readChanges(fields: string[]): FileChange[] {
  const changes: FileChange[] = [];
  const byPath = new Map<string, FileChange>();
  let at = 0;
  for (; fields[at]?.startsWith(':'); at += 2) {
    const letter = fields[at]!.split(' ')[4]?.[0] ?? '';
    const isMoved = letter === 'R' || letter === 'C';
    const old = fields[at + 1] ?? '';
    if (isMoved) at++;
    const path = fields[at + 1] ?? '';
    const change: FileChange = {
      ...{ path: nameOf(path), old_path: isMoved ? nameOf(old) : null, status: KINDS[letter] ?? 'modified' },
      ...{ additions: 0, deletions: 0, binary: false, patch: null, truncated: false },
    };
    changes.push(change);
    byPath.set(path, change);
  }
  for (; at < fields.length - 1; at++) {
    const [added = '', deleted = '', name = ''] = splitCounts(fields[at] ?? '');
    const path = name === '' ? (fields[(at += 2)] ?? '') : name;
    const change = byPath.get(path);
    if (!change) continue;
    change.binary = added === '-';
    change.additions = Number(added) || 0;
    change.deletions = Number(deleted) || 0;
  }
  return changes;
}

/** A name may hold tabs; the counts before it don't. */
function splitCounts(field: string): string[] {
  const [first, second] = [field.indexOf('\t'), field.indexOf('\t', field.indexOf('\t') + 1)];
  return [field.slice(0, first), field.slice(first + 1, second), field.slice(second + 1)];
}

function nameOf(latin1: string): string {
  return readable(Buffer.from(latin1, 'latin1'));
}
