import { listed, runScenarios } from '../run-scenarios.js';
import { SCENARIOS } from './scenarios/index.js';
import { FAULTS, isSound } from './verdict.js';

export const DISPATCH_HELP = `npm run faults -- dispatch [--quick] [--only NAME,NAME] [--seed N] [--minutes N] [--points NAME,NAME]

Agents count how often they are started while servers, engines and clocks fail around them. One checker looks at all rows
and at this machine when all is over: each attempt was started once (or not at all, if it was ended before), each run has
come to one end and its task agrees, nobody holds a place, and nothing is left of any attempt.

${listed(SCENARIOS)}

  --quick    less of everything
  --seed     the same faults again, as far as the machine allows; printed with each run
  --minutes  of the soak; 60 unless told
  --points   of kill-points; all of them unless told
`;

/** Runs the scenarios and prints the table; resolves to whether all figures that have to be 0 are. */
export function runDispatch(args: string[]): Promise<boolean> {
  return runScenarios(
    {
      scenarios: SCENARIOS,
      columns: ['runs', 'attempts', 'starts', ...FAULTS.map((fault) => fault.replace('_', ' '))],
      figures: ({ runs, attempts, starts, ...finding }) =>
        [runs, attempts, starts, ...FAULTS.map((fault) => finding[fault])].map(String),
      note: ({ note }) => note,
      isSound,
    },
    args,
  );
}
