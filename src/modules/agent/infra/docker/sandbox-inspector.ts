import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import type Docker from 'dockerode';
import type { ContainerCreateOptions, ContainerInspectInfo } from 'dockerode';
import { CONFIG } from '../../../../common/config/config.module.js';
import type { Config } from '../../../../common/config/config.js';
import type { LaunchSpec } from '../../domain/container-runtime.js';
import { compareSandbox } from '../../domain/sandbox-policy.js';
import type { SandboxProbe, SandboxReport } from '../../domain/sandbox.js';
import { containerName } from './container-options.js';
import { QUICK_SECONDS, within } from './deadline.js';
import { DOCKER } from './docker-client.js';
import { EngineReader } from './engine-reader.js';
import { linkedPlaces, namesOfMounts } from './sandbox-mounts.js';
import { isProbeThere, readProbe } from './sandbox-probe-file.js';
import { inspectedPolicy, requestedPolicy } from './sandbox-reader.js';

/** The launcher needs some milliseconds; a host out of breath gets time. */
const LOOK_SECONDS = 30;
const LOOK_AGAIN_MS = 2; // a look for a name that is not there takes microseconds …
const MAX_LOOK_AGAIN_MS = 20;
const ASK_AGAIN_MS = 100; // … and a question to the engine a thousand times as long

/** What came of the look from inside. */
type Look = { probe: SandboxProbe } | { probe: null; problem: string };

/** Looks at an agent's container while its command has not begun: by the engine's eyes, and from inside. */
@Injectable()
export class SandboxInspector {
  constructor(
    @Inject(DOCKER) private readonly docker: Docker,
    @Inject(CONFIG) private readonly config: Config,
    private readonly engine: EngineReader,
  ) {}

  /**
   * Compares `options`, which the container was asked for with, with what the engine shows; and, where it is started,
   * with what the launcher has seen from inside, which is waited for. Never to be asked once the gate was opened.
   * Does not judge.
   * @throws what the engine's client throws when the engine does not answer, or has no such container
   */
  async report(spec: LaunchSpec, options: ContainerCreateOptions): Promise<SandboxReport> {
    const capabilities = await this.engine.capabilities();
    const nameOf = namesOfMounts(spec, this.config.home);
    const policy = requestedPolicy(options, nameOf, capabilities);
    const seen = await this.inspect(spec.agent_id);
    const inspected = inspectedPolicy(seen, nameOf, capabilities);
    const places = linkedPlaces(spec, this.config.home);
    places.catch(() => undefined); // awaited below
    const look = seen.State.Status === 'created' ? null : await this.lookInside(spec, seen);
    const probe = look?.probe ?? null;
    const asked = { policy, network: spec.network };
    const { differences, not_enforced } = compareSandbox(asked, inspected, probe, capabilities);
    if (look && 'problem' in look) differences.push(`what runs first (Entrypoint): ${look.problem}`);
    for (const place of await places) {
      differences.push(`mounts (Mounts): the ${place} is reached over a link`);
    }
    const verified_at = new Date().toISOString();
    return { verified_at, network: spec.network, policy, inspected, probe, differences, not_enforced };
  }

  private async lookInside(spec: LaunchSpec, seen: ContainerInspectInfo): Promise<Look> {
    const deadline = Date.now() + LOOK_SECONDS * 1000;
    for (let { State: state } = seen; ; { State: state } = await this.inspect(spec.agent_id)) {
      // Looked for after the state: what ends right after it has looked has looked all the same.
      if (state.Running) await this.appears(spec.run_directory);
      const probe = await readProbe(spec.run_directory).catch(() => 'unreadable' as const);
      if (probe === 'unreadable') return { probe: null, problem: 'what was seen from inside can not be read' };
      if (probe) return { probe };
      if (!state.Running) return { probe: null, problem: `it ended with code ${state.ExitCode} before it had looked` };
      if (Date.now() > deadline) return { probe: null, problem: `it has not looked within ${LOOK_SECONDS} s` };
    }
  }

  /** Waits a while until what was seen from inside is there. */
  private async appears(runDirectory: string): Promise<void> {
    let pause = LOOK_AGAIN_MS;
    for (const end = Date.now() + ASK_AGAIN_MS; !isProbeThere(runDirectory) && Date.now() < end; await sleep(pause))
      pause = Math.min(1.5 * pause, MAX_LOOK_AGAIN_MS);
  }

  private inspect(agentId: string): Promise<ContainerInspectInfo> {
    return within(QUICK_SECONDS, this.docker.getContainer(containerName(agentId)).inspect());
  }
}
