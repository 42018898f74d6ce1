import { Inject, Injectable } from '@nestjs/common';
import type Docker from 'dockerode';
import type { EngineStatus } from '../../contracts/engine.queries.js';
import type { EngineCapabilities } from '../../domain/sandbox-engine.js';
import { QUICK_SECONDS, within } from './deadline.js';
import { DOCKER } from './docker-client.js';

/** What is read of the engine's `info`; each may be missing, versions differ. */
interface Info {
  ServerVersion?: string;
  Driver?: string;
  DriverStatus?: [string, string][] | null;
  CgroupVersion?: string;
  CgroupDriver?: string;
  DefaultRuntime?: string;
  LiveRestoreEnabled?: boolean;
  SecurityOptions?: string[] | null;
  MemoryLimit?: boolean;
  SwapLimit?: boolean;
  PidsLimit?: boolean;
  CpuCfsQuota?: boolean;
  BridgeNfIptables?: boolean;
}

interface Version {
  ApiVersion?: string;
  Components?: { Name: string; Version: string }[] | null;
}

/** What an engine says of itself. */
export interface EngineWords {
  capabilities: EngineCapabilities;
  /** Whether containers on one network can be kept from each other. */
  separates_siblings: boolean;
  described: Omit<EngineStatus, 'available' | 'not_enforced' | 'disk_limit_method' | 'checked_at'>;
}

/** Reads what the engine says of itself; the answer is kept until {@link forget}. */
@Injectable()
export class EngineReader {
  private words: Promise<EngineWords> | undefined;

  constructor(@Inject(DOCKER) private readonly docker: Docker) {}

  /** @throws what the engine's client throws when the engine does not answer */
  async capabilities(): Promise<EngineCapabilities> {
    return (await this.read()).capabilities;
  }

  /** @throws what the engine's client throws when the engine does not answer */
  read(): Promise<EngineWords> {
    this.words ??= this.ask().catch((error: unknown) => {
      this.words = undefined;
      throw error;
    });
    return this.words;
  }

  /** Whether it answers now. */
  async answers(): Promise<boolean> {
    try {
      await within(QUICK_SECONDS, this.docker.ping());
      return true;
    } catch {
      return false;
    }
  }

  /** The engine was away: it may come back as another one. */
  forget(): void {
    this.words = undefined;
  }

  private async ask(): Promise<EngineWords> {
    const [info, version] = await Promise.all([
      within(QUICK_SECONDS, this.docker.info() as Promise<Info>),
      within(QUICK_SECONDS, this.docker.version() as Promise<Version>),
    ]);
    return wordsOf(info, version);
  }
}

/** `name=seccomp,profile=default` and the like, by their names. */
function namesOf(options: string[] | null | undefined): string[] {
  return (options ?? []).map((option) => /(?:^|,)name=([^,]+)/.exec(option)?.[1] ?? option);
}

/** Podman gives all that the program says of itself. */
function firstLine(text: string | undefined): string | undefined {
  return text?.split('\n')[0];
}

export function wordsOf(info: Info, version: Version): EngineWords {
  const security = namesOf(info.SecurityOptions);
  const components = version.Components ?? [];
  const product = components.some(({ Name: name }) => /podman/i.test(name)) ? 'podman' : 'docker';
  const runtime = components.find(({ Name: name }) => /^(runc|crun|oci runtime)/i.test(name));
  const file_system = new Map(info.DriverStatus ?? []).get('Backing Filesystem') ?? '';
  return {
    capabilities: {
      product,
      seccomp: security.includes('seccomp'),
      apparmor: security.includes('apparmor'),
      memory_limit: info.MemoryLimit === true,
      swap_limit: info.SwapLimit === true,
      pids_limit: info.PidsLimit === true,
      cpu_limit: info.CpuCfsQuota === true,
      private_cgroupns: product === 'docker' || info.CgroupVersion === '2',
      default_runtime: info.DefaultRuntime ?? '',
      default_cgroupns: info.CgroupVersion === '2' ? 'private' : 'host',
    },
    separates_siblings: info.BridgeNfIptables !== false, // newer engines do not tell, and can
    described: {
      product,
      version: info.ServerVersion ?? null,
      api_version: version.ApiVersion ?? null,
      runtime_version: firstLine(runtime?.Version)?.replace(/^\w+ version /, '') ?? null,
      cgroup_version: info.CgroupVersion ?? null,
      cgroup_driver: info.CgroupDriver ?? null,
      storage_driver: info.Driver ?? null,
      live_restore: info.LiveRestoreEnabled === true,
      security,
      // On xfs it depends on an option of the mount, which an engine does not tell.
      storage_quota: file_system === 'xfs' ? null : ['btrfs', 'zfs'].includes(info.Driver ?? ''),
    },
  };
}
