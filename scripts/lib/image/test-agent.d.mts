/** `kandev/test-agent:latest` */
export const TEST_AGENT_IMAGE: string;

/** The test agent as one file that needs nothing but Node; its path. */
export function bundleTestAgent(projectRoot: string): string;

/** Builds the test agent's image, without a registry, unless the engine has the very same one. */
export function buildTestAgentImage(projectRoot: string): Promise<{ tag: string; id: string; built: boolean }>;
