import type Docker from 'dockerode';
import { QUICK_SECONDS, within } from './deadline.js';

/** What the making of a container depends on. */
export interface EnginePlatform {
  /** As Go names it: `amd64`, `arm64`. */
  architecture: string;
  /** Whether containers can have a control group namespace of their own. */
  has_private_cgroupns: boolean;
}

/** An engine may be upgraded under a running server. */
const GOOD_FOR_MS = 60_000;
/** The first API that knows of control group namespaces: 1.41. */
const CGROUPNS_API_MINOR = 41;

/** Asks the engine now and then. @returns a function that answers, or rejects as the client library does */
export function enginePlatform(docker: Docker): () => Promise<EnginePlatform> {
  let asked: { at: number; platform: Promise<EnginePlatform> } | undefined;
  return () => {
    if (asked && Date.now() - asked.at < GOOD_FOR_MS) return asked.platform;
    const platform = ask(docker);
    asked = { at: Date.now(), platform };
    platform.catch(() => (asked = undefined));
    return platform;
  };
}

async function ask(docker: Docker): Promise<EnginePlatform> {
  const { Arch: architecture, ApiVersion: api } = await within(QUICK_SECONDS, docker.version());
  const minor = Number(/^1\.(\d+)/.exec(api)?.[1] ?? CGROUPNS_API_MINOR);
  return { architecture, has_private_cgroupns: minor >= CGROUPNS_API_MINOR };
}
