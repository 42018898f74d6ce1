import { once } from 'node:events';
import { chmodSync, mkdirSync, readFileSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type Dockerode from 'dockerode';
import { LABEL } from './docker-world.js';

/** What an agent's container was made of, as the engine shows it. */
export type Recipe = Dockerode.ContainerInspectInfo;

const RUN_TARGET = '/run/kandev';
const LAUNCHER_TARGET = '/run/kandev-launcher';
const SHARED = 0o777; // the agent's user writes into it

/** A place of its own for one raw container. */
export interface RawPlace {
  directory: string;
  mounts: Dockerode.MountSettings[];
}

/** The folders that a container is given in the place of an agent's; not measured, as the server's preparation is. */
export function rawPlace(directory: string, { HostConfig: host }: Recipe): RawPlace {
  const mounts = (host.Mounts ?? []).map((mount) => {
    if (mount.Target === LAUNCHER_TARGET) return mount; // a file, the same for all
    const source = join(directory, mount.Target.replaceAll('/', '_'));
    mkdirSync(source, { recursive: true });
    chmodSync(source, SHARED);
    return { ...mount, Source: source };
  });
  return { directory, mounts };
}

/** Creates, starts, and waits for the first line in a file: resolves to the milliseconds. The container lives on. */
export async function rawStart(docker: Dockerode, recipe: Recipe, { directory, mounts }: RawPlace): Promise<number> {
  const out = join(directory, RUN_TARGET.replaceAll('/', '_'), 'out');
  writeFileSync(out, '');
  chmodSync(out, SHARED);
  const began = performance.now();
  const watcher = watch(out);
  try {
    const { User, WorkingDir, Env, StopSignal, Image } = recipe.Config as typeof recipe.Config & {
      StopSignal?: string;
    };
    const container = await docker.createContainer({
      ...{ Image, User, WorkingDir, Env, StopSignal, Labels: { [LABEL]: '' } },
      Entrypoint: ['/bin/sh', '-c', `echo first > ${RUN_TARGET}/out; exec sleep 600`],
      HostConfig: { ...recipe.HostConfig, Mounts: mounts },
    });
    await container.start();
    while (!readFileSync(out).includes('\n')) await once(watcher, 'change');
    return performance.now() - began;
  } finally {
    watcher.close();
  }
}
