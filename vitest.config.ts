import { defineConfig } from 'vitest/config';

/**
 * Real servers, databases and containers: two files at a time, each with its own of all of them. They wait for these
 * more than they compute, so that two cores do for two.
 */
const real = {
  maxWorkers: 2,
  testTimeout: 60_000,
  hookTimeout: 120_000,
  globalSetup: ['test/support/global-setup.ts'],
};

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['src/**/*.spec.ts', 'agents/**/*.spec.ts', 'scripts/**/*.spec.ts', 'clients/**/*.spec.ts'],
        },
      },
      { test: { name: 'integration', include: ['test/integration/**/*.spec.ts'], ...real } },
      { test: { name: 'e2e', include: ['test/e2e/**/*.spec.ts'], ...real } },
      { test: { name: 'docker', include: ['test/docker/**/*.spec.ts'], ...real } },
      { test: { name: 'faults', include: ['test/faults/**/*.spec.ts'], ...real, fileParallelism: false } },
    ],
  },
});
