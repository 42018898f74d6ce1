import { CLONES_HELP, runClones } from './clones/suite.js';
import { DISPATCH_HELP, runDispatch } from './dispatch/suite.js';
import { LAUNCH_HELP, runLaunch } from './launch/suite.js';
import { runSuites } from './lib/suites.js';
import { REST_HELP, runRest } from './rest/suite.js';
import { runStream, STREAM_HELP } from './stream/suite.js';

/** Each resolves to whether every aim was met. */
const SUITES = [
  { name: 'rest', about: 'the REST API against raw SQL, large boards, and a soak', help: REST_HELP, run: runRest },
  {
    name: 'clones',
    about: "a task's workspace, with and without a copy of the repository",
    help: CLONES_HELP,
    run: runClones,
  },
  { name: 'launch', about: 'a confined agent against a plain container', help: LAUNCH_HELP, run: runLaunch },
  {
    name: 'stream',
    about: 'what agents say: storing it, its way to clients, many clients, slow ones',
    help: STREAM_HELP,
    run: runStream,
  },
  {
    name: 'dispatch',
    about: 'from a start request to the agent: claims, idle cost, fairness, recovery',
    help: DISPATCH_HELP,
    run: runDispatch,
  },
];

const NEEDS =
  'Each suite works in a temporary directory, with a PostgreSQL and a server of its own where it needs them.';

await runSuites('bench', NEEDS, SUITES);
