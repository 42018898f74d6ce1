import type { ToolCallView } from '../../contracts/dialogue.types.js';
import { records, text, type Json } from './lenient.js';
import { MAX_ASKED_PATH, MAX_ASKED_PATHS, MAX_ASKED_PATHS_BYTES } from './limits.js';

/** Where a tool works, as its agent says. */
export interface NamedPaths {
  /** Each once, and as it came: a policy looks at them. */
  paths: string[];
  /** There are more, or some that are none. */
  paths_cut: boolean;
}

/** The paths of a tool call as they are with an update, taken before anything of it is fitted or cut. */
export function pathsNamed(known: { view: ToolCallView; paths_cut: boolean }, update: Json): NamedPaths {
  const { locations, content } = update;
  const isNew = Array.isArray(locations) && Array.isArray(content); // then nothing of what was known counts
  const places: unknown[] = Array.isArray(locations) ? locations : known.view.locations;
  const items = records(Array.isArray(content) ? content : known.view.content);
  const paths = new Set<string>();
  let [cut, bytes] = [!isNew && known.paths_cut, 0];
  for (const one of [...places, ...items.filter(({ type }) => type === 'diff')]) {
    const path = text((one as Json | null)?.['path']) ?? '';
    if (paths.has(path)) continue;
    const size = Buffer.byteLength(path);
    const isOne = path !== '' && path.length <= MAX_ASKED_PATH;
    if (!isOne || paths.size >= MAX_ASKED_PATHS || bytes + size > MAX_ASKED_PATHS_BYTES) {
      cut = true;
      continue;
    }
    paths.add(path);
    bytes += size;
  }
  return { paths: [...paths], paths_cut: cut };
}

/** Whether all of the paths are in what is kept. */
export function hasPaths({ locations, content }: ToolCallView, paths: readonly string[]): boolean {
  const kept = new Set(locations.map(({ path }) => path));
  for (const item of content) if (item.type === 'diff') kept.add(item.path);
  return paths.every((path) => kept.has(path));
}
