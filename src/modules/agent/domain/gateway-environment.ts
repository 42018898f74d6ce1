/** Where the launcher's bridge listens in the container. */
const BRIDGE = 'http://127.0.0.1:3128';

/** The server's API, as an agent behind a gateway reaches it. */
export const GATEWAY_API_URL = `${BRIDGE}/api/v1`;

/** Variables that send an agent's HTTP through its gateway. */
export function gatewayEnvironment(): Record<string, string> {
  const itself = '127.0.0.1,localhost,::1';
  return {
    ...{ HTTP_PROXY: BRIDGE, HTTPS_PROXY: BRIDGE, http_proxy: BRIDGE, https_proxy: BRIDGE },
    ...{ NO_PROXY: itself, no_proxy: itself },
    NODE_USE_ENV_PROXY: '1', // Node's own fetch looks at the variables above only when told to
  };
}
