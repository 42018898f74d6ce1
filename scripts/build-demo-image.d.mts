/** Where this machine or its engine lacks what the build takes; the message says what. */
export class CannotBuildHere extends Error {}

/** `kandev/demo-agent:latest` */
export const DEMO_IMAGE: string;

export interface DemoImage {
  tag: string;
  /** `sha256:…` */
  id: string;
  /** Bytes. */
  size: number;
  /** False when the engine had the very same image. */
  built: boolean;
  seconds: number;
}

/** Whether a Docker engine answers at DOCKER_HOST, else at /var/run/docker.sock. Never rejects. */
export function engineAnswers(): Promise<boolean>;

/** Builds the demo agent's image, without a registry, unless the engine has the very same one. */
export function buildDemoImage(options?: { log?: (line: string) => void; tag?: string }): Promise<DemoImage>;
