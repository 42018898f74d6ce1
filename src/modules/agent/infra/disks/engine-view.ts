import { setTimeout as sleep } from 'node:timers/promises';
import { Readable } from 'node:stream';
import { Inject, Injectable } from '@nestjs/common';
import type Docker from 'dockerode';
import { CONFIG } from '../../../../common/config/config.module.js';
import type { Config } from '../../../../common/config/config.js';
import { LABEL_HOME } from '../docker/container-options.js';
import { QUICK_SECONDS, within } from '../docker/deadline.js';
import { DOCKER } from '../docker/docker-runtime.js';
import { engineStatus } from '../docker/engine-errors.js';

/** An image without a single file: to look through an engine's eyes nothing has to run. */
const EMPTY_IMAGE = 'kandev-empty';
const EMPTY_TAR = Buffer.alloc(1024); // two empty records: the end of an archive
const WAIT_MS = 200;
const TRIES = 10;

/** What the engine sees of this host's files: it may live in another mount namespace, or on another machine. */
@Injectable()
export class EngineView {
  constructor(
    @Inject(DOCKER) private readonly docker: Docker,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** Whether a container would find `name` in this folder; null when the engine does not answer. */
  async finds(folder: string, name: string): Promise<boolean | null> {
    try {
      await within(QUICK_SECONDS, this.docker.ping());
      await this.needImage();
    } catch {
      return null;
    }
    const label = `kandev-look-${this.config.host_id}`;
    await this.remove(label);
    try {
      await within(
        QUICK_SECONDS,
        this.docker.createContainer({
          name: label,
          Image: EMPTY_IMAGE,
          Cmd: ['/none'],
          Labels: { [LABEL_HOME]: this.config.host_id },
          HostConfig: {
            NetworkMode: 'none',
            Mounts: [{ Type: 'bind', Source: folder, Target: '/look', ReadOnly: true }],
          },
        }),
      );
      await within(QUICK_SECONDS, this.docker.getContainer(label).infoArchive({ path: `/look/${name}` }));
      return true;
    } catch (error) {
      return engineStatus(error) === undefined ? null : false; // it has answered: no such folder, no such file
    } finally {
      await this.remove(label);
    }
  }

  private async needImage(): Promise<void> {
    try {
      await within(QUICK_SECONDS, this.docker.getImage(EMPTY_IMAGE).inspect());
    } catch (error) {
      if (engineStatus(error) !== 404) throw error;
      const answer = await within(
        QUICK_SECONDS,
        this.docker.importImage(Readable.from([EMPTY_TAR]), { repo: EMPTY_IMAGE, tag: 'latest' }),
      );
      answer.resume();
      for (let tries = 0; tries < TRIES; tries++) {
        if (
          await this.docker
            .getImage(EMPTY_IMAGE)
            .inspect()
            .catch(() => undefined)
        )
          return;
        await sleep(WAIT_MS);
      }
    }
  }

  private async remove(name: string): Promise<void> {
    await within(QUICK_SECONDS, this.docker.getContainer(name).remove({ force: true })).catch(() => undefined);
  }
}
