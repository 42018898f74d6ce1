import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that take longest, in this order, which their sizes don't show: begun last, each would have a core to itself. */
const LONGEST = [
  ...['docker/server-image', 'docker/agent-images', 'docker/agent-disk', 'docker/agent-pause', 'docker/agent-outside'],
  ...[
    'docker/real-agents-server',
    'docker/agent-check',
    'docker/agent-check-sessions',
    'e2e/session-quirks',
    'docker/agent-usage',
    'docker/agent-gate',
    'docker/agent-timeouts',
  ],
  ...['integration/workspace-life', 'integration/big-board'],
  ...['e2e/api-properties', 'e2e/hosts', 'e2e/budgets', 'e2e/process', 'e2e/process-runtime', 'e2e/wip-limits'],
];

/** The longest files first, then as vitest has it. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const place = LONGEST.findIndex((name) => new RegExp(`/${name}\\.(e2e\\.)?spec\\.ts$`).test(moduleId));
      return place < 0 ? LONGEST.length : place;
    };
    // oxlint-disable-next-line unicorn/no-array-sort -- a method of vitest's own
    const sorted = await super.sort(files);
    return sorted.toSorted((a, b) => rank(a) - rank(b));
  }
}

/**
 * Real servers, databases and containers: two files at a time, each with its own of all of them. They wait for these
 * more than they compute, so that two cores do for two.
 */
const real = {
  maxWorkers: 2,
  maxConcurrency: 3, // of a file's concurrent tests: most of them start a server each
  testTimeout: 120_000, // where others load the machine as well, a server takes half a minute to start
  hookTimeout: 120_000,
  globalSetup: ['test/support/global-setup.ts'],
};

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
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
      {
        test: {
          name: 'faults',
          include: ['test/faults/**/*.spec.ts'],
          ...real,
          fileParallelism: false,
          maxConcurrency: 5,
        },
      },
    ],
  },
});
