import { realpath } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { LaunchSpec } from '../../domain/container-runtime.js';

/** A mount, as it was asked for or as the engine shows it. */
export interface SeenMount {
  Type?: string;
  Source?: string;
  Destination: string;
  RW: boolean;
  Propagation?: string;
}

/** Tells what is mounted, in a word: `workspace`, `home` … Undefined: nothing of ours. */
export type NameOfMount = (mount: SeenMount) => string | undefined;

/** Names for the mounts of an attempt. */
export function namesOfMounts(spec: LaunchSpec, home: string): NameOfMount {
  const names = new Map(ownDirectories(spec).map(([name, source]) => [source, name]));
  return ({ Type: type, Source: source = '', Destination: target }) => {
    if (type !== undefined && type !== 'bind') return undefined;
    const granted = spec.credentials.some((file) => file.source === source && file.target === target);
    if (granted) return 'credentials';
    return isLauncher(source, home) ? 'launcher' : names.get(source);
  };
}

/** `what target ro|rw`; never where it lies on the host. */
export function mountText(mount: SeenMount, nameOf: NameOfMount): string {
  const { Type: type = 'bind', Destination: target, RW: writable, Propagation: propagation } = mount;
  const what = nameOf(mount) ?? (type === 'bind' ? 'another place of the host' : type);
  const shared = propagation === undefined || ['', 'private', 'rprivate'].includes(propagation) ? '' : ' shared';
  return `${what}${shared} ${target} ${writable ? 'rw' : 'ro'}`;
}

export function tmpfsTexts(tmpfs: Record<string, string> | null | undefined): string[] {
  return Object.entries(tmpfs ?? {}).map(([target, options]) => {
    return `tmpfs ${target} ${options.split(',').includes('ro') ? 'ro' : 'rw'}`;
  });
}

/** Names of those of the attempt's own places that are reached over a link: the engine follows it to elsewhere. */
export async function linkedPlaces(spec: LaunchSpec, home: string): Promise<string[]> {
  const places = [...ownDirectories(spec), ...spec.credentials.map(({ source }) => ['credentials', source] as const)];
  const [root, ...real] = await Promise.all([
    realpath(home),
    ...places.map(([, source]) => realpath(source).catch(() => null)), // gone
  ]);
  // A link never leads to its own path.
  return places.filter(([, source], n) => real[n] !== join(root, relative(home, source))).map(([name]) => name);
}

/** Of another version too: a container may have been made by the server before an upgrade. */
function isLauncher(source: string, home: string): boolean {
  const [folder, digest = '', file, ...rest] = relative(home, source).split('/');
  return folder === 'launcher' && /^[0-9a-f]+$/.test(digest) && file === 'kandev-launcher' && rest.length === 0;
}

function ownDirectories(spec: LaunchSpec): (readonly [name: string, source: string])[] {
  return [
    ['workspace', spec.workspace_directory],
    ['home', spec.home_directory],
    ['tmp', spec.tmp_directory],
    ['run directory', spec.run_directory],
    ...(spec.gateway_directory === null ? [] : [['gateway', spec.gateway_directory] as const]),
  ];
}
