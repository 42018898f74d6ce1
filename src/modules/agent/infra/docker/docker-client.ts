import Docker from 'dockerode';
import type { Config } from '../../../../common/config/config.js';

/** Injection token of the dockerode client. */
export const DOCKER = Symbol('Docker');

/** A client for the engine at `DOCKER_HOST`. Connects with the first call only. */
export function dockerClient(config: Config): Docker {
  const { host, api_version } = config.docker;
  const version = api_version ? { version: `v${api_version}` } : {};
  const url = new URL(host);
  if (url.protocol === 'unix:') return new Docker({ socketPath: url.pathname, ...version });
  const protocol = url.protocol === 'https:' ? 'https' : 'http';
  return new Docker({ protocol, host: url.hostname, port: url.port || '2375', ...version });
}
