import { once } from 'node:events';
import { PassThrough, Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import Dockerode from 'dockerode';
import { describe } from 'vitest';
import { engineAnswers } from '../../scripts/build-demo-image.mjs';

export const engine = new Dockerode();

/** A block of tests that need an engine. Without one they are skipped, except in CI, where they run and so fail. */
export const describeWithEngine = (await engineAnswers()) || process.env.CI ? describe : describe.skip;

/** What every container of an untrusted program gets: no rights, no network, nothing to write to but /tmp. */
export const HARDENED = {
  ReadonlyRootfs: true,
  NetworkMode: 'none',
  CapDrop: ['ALL'],
  SecurityOpt: ['no-new-privileges'],
  PidsLimit: 256,
  Memory: 512 * 1024 * 1024,
  MemorySwap: 512 * 1024 * 1024,
  Tmpfs: { '/tmp': 'rw,size=64m' },
  Init: true,
} satisfies Dockerode.HostConfig;

/** Everything a container wrote to stdout and stderr. */
export async function outputOf(container: Dockerode.Container): Promise<string> {
  return demultiplex(container, Readable.from([await container.logs({ stdout: true, stderr: true })]));
}

/** The text in a stream that holds stdout and stderr in turns. */
async function demultiplex(container: Dockerode.Container, stream: NodeJS.ReadableStream): Promise<string> {
  const chunks: Buffer[] = [];
  const sink = new PassThrough().on('data', (chunk: Buffer) => chunks.push(chunk));
  const modem = container.modem as { demuxStream(from: unknown, out: unknown, err: unknown): void };
  modem.demuxStream(stream, sink, sink);
  await once(stream, 'end');
  return Buffer.concat(chunks).toString();
}

/** Runs a container to its end and removes it. */
export async function run(options: Dockerode.ContainerCreateOptions): Promise<{ code: number; output: string }> {
  const container = await engine.createContainer(options);
  try {
    await container.start();
    const { StatusCode: code } = (await container.wait()) as { StatusCode: number };
    return { code, output: await outputOf(container) };
  } finally {
    await container.remove({ force: true, v: true });
  }
}

/** Runs a program in a running container. */
export async function execute(
  container: Dockerode.Container,
  command: string[],
): Promise<{ code: number; output: string }> {
  const exec = await container.exec({ Cmd: command, AttachStdout: true, AttachStderr: true });
  const output = await demultiplex(container, await exec.start({}));
  const { ExitCode: code } = await exec.inspect();
  return { code: code ?? -1, output };
}

/** Waits until `probe` gives something; fails with the container's output when it ends first or the time is up. */
export async function eventually<T>(
  container: Dockerode.Container,
  seconds: number,
  probe: () => Promise<T | undefined>,
): Promise<T> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const found = await probe();
    if (found !== undefined) return found;
    const { State: state } = await container.inspect();
    if (!state.Running || Date.now() > deadline) {
      throw new Error(`${state.Running ? 'Too slow' : `Ended with ${state.ExitCode}`}:\n${await outputOf(container)}`);
    }
    await delay(100);
  }
}
