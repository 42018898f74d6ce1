import { isClean, type Damage } from '../../support/damage.js';
import { listed, runScenarios } from '../run-scenarios.js';
import { SCENARIOS } from './scenarios/index.js';

export const STREAM_HELP = `npm run faults -- stream [--quick] [--only NAME,NAME] [--seed N]

Agents write numbered, hashed lines while things die around them. One checker compares what they wrote with what is in
the database and with what every client was given, and counts what was lost, doubled, reordered, torn or unexpected.

${listed(SCENARIOS)}

  --quick   less of everything
  --seed    the same faults again, as far as the machine allows; printed with each run
`;

const KINDS = ['lost', 'doubled', 'reordered', 'torn', 'unexpected'] as const satisfies readonly (keyof Damage)[];

/** Runs the scenarios and prints the table; resolves to whether nothing was damaged. */
export function runStream(args: string[]): Promise<boolean> {
  return runScenarios(
    {
      scenarios: SCENARIOS,
      columns: ['written', 'persisted', 'delivered', ...KINDS],
      figures: ({ written, persisted, delivered, damage }) =>
        [written, persisted, delivered, ...KINDS.map((kind) => damage[kind])].map(String),
      note: ({ note }) => note,
      isSound: ({ damage }) => isClean(damage),
    },
    args,
  );
}
