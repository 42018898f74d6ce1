import { listed, runScenarios } from '../run-scenarios.js';
import { SCENARIOS } from './scenarios/index.js';
import { FAULTS, isSound, type Finding } from './verdict.js';

const COUNTED = ['kills', 'turns', 'words', 'answers', ...FAULTS] as const satisfies readonly (keyof Finding)[];

export const SESSIONS_HELP = `npm run faults -- sessions [--quick] [--only NAME,NAME] [--seed N]

Agents that speak the Agent Client Protocol note each frame that they are sent and that they send, while the server is
killed between them. One checker compares their notes with the stream and the rows: each request, prompt, cancel and answer
has reached the agent once and in order, each word of it is once in the stream, each turn and each run has ended once.

${listed(SCENARIOS)}

  --quick    less of everything
  --seed     the same kills again, as far as the machine allows; printed with each run
`;

/** Runs the scenarios and prints the table; resolves to whether all figures that have to be 0 are. */
export function runSessions(args: string[]): Promise<boolean> {
  return runScenarios(
    {
      scenarios: SCENARIOS,
      columns: COUNTED.map((name) => name.replace('_', ' ')),
      figures: (finding) => COUNTED.map((name) => String(finding[name])),
      note: ({ note }) => note,
      isSound,
    },
    args,
  );
}
