import { runSuites } from '../../bench/lib/suites.js';
import { DISPATCH_HELP, runDispatch } from './dispatch/suite.js';
import { runSessions, SESSIONS_HELP } from './sessions/suite.js';
import { runStream, STREAM_HELP } from './stream/suite.js';

await runSuites('faults', 'Each suite works in a temporary directory, with PostgreSQL and servers of its own.', [
  { name: 'stream', about: 'every line once and in order, whatever dies', help: STREAM_HELP, run: runStream },
  {
    name: 'dispatch',
    about: 'every attempt started once, every run ended once, and nothing left over',
    help: DISPATCH_HELP,
    run: runDispatch,
  },
  {
    name: 'sessions',
    about: 'every frame of the Agent Client Protocol once and in order, both ways',
    help: SESSIONS_HELP,
    run: runSessions,
  },
]);
