import { parseArgs } from 'node:util';

export const HELP = `npm run watch -- TASK_ID [options]

Shows what a task's agent does, as it happens and from wherever you left off, until its run has ended. The connection
comes back by itself: each line is shown once, in order, whatever is restarted in between.

  --url URL          of the server; http://127.0.0.1:8080
  --after SEQ        only what comes after this number; 0, the default, is everything
  --types LIST       only these: progress, log, result, error, status, heartbeat; separated by commas
  --min-level LEVEL  of logs: debug, info, warn or error
  --speed N          replays the last run, N times as fast as it was
  --follow           goes on when the run has ended, to the task's next one
  --token-file FILE  holds an access token or an API key
  --json             each message as a line of JSON, and nothing else, on stdout
  --no-color         plain text; the environment variable NO_COLOR says the same
  --help

Who you are: KANDEV_API_KEY or KANDEV_TOKEN in the environment, or --token-file.
Exit code: 0 the run is completed, 1 it failed, was cancelled or can't be watched, 2 wrong usage, 130 Ctrl-C.
`;

const TYPES = ['progress', 'log', 'result', 'error', 'status', 'heartbeat'];
const LEVELS = ['debug', 'info', 'warn', 'error'];
const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;

/** What is wrong with the command line. */
export class UsageError extends Error {}

/**
 * @param {string[]} args of the command line
 * @returns {import('./options.d.mts').WatchOptions}
 * @throws {UsageError}
 */
export function readOptions(args) {
  const { values, positionals } = parse(args);
  if (values.help) return { help: true };
  const [task_id, ...more] = positionals;
  if (task_id === undefined) throw new UsageError('Say which task: npm run watch -- TASK_ID');
  if (more.length > 0) throw new UsageError(`One task at a time; ${more[0]} is one too many.`);
  if (!UUID.test(task_id)) throw new UsageError(`${JSON.stringify(task_id)} is no task's id: they are UUIDs.`);
  return {
    help: false,
    task_id: task_id.toLowerCase(),
    url: readUrl(values.url),
    after: readNumber('--after', values.after, /^\d{1,15}$/, 'a whole number of at least 0') ?? 0,
    types: readTypes(values.types),
    min_level: readLevel(values['min-level']),
    speed: readNumber('--speed', values.speed, /^(?!0+(\.0*)?$)\d{1,6}(\.\d{1,3})?$/, 'a number above 0'),
    follow: values.follow ?? false,
    json: values.json ?? false,
    color: values.color ?? true,
    token_file: values['token-file'],
  };
}

function parse(args) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      allowNegative: true,
      options: {
        url: { type: 'string', default: 'http://127.0.0.1:8080' },
        after: { type: 'string' },
        types: { type: 'string' },
        'min-level': { type: 'string' },
        speed: { type: 'string' },
        follow: { type: 'boolean' },
        'token-file': { type: 'string' },
        json: { type: 'boolean' },
        color: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError(error.message);
  }
}

function readUrl(text) {
  const url = URL.parse(text);
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url.href.replace(/\/+$/, '');
  throw new UsageError(`--url is to be the address of a server, such as http://127.0.0.1:8080, not ${text}.`);
}

function readNumber(name, text, pattern, what) {
  if (text === undefined) return undefined;
  if (!pattern.test(text)) throw new UsageError(`${name} is to be ${what}, not ${text}.`);
  return Number(text);
}

function readTypes(text) {
  const types = text?.split(',').map((type) => type.trim());
  const unknown = types?.find((type) => !TYPES.includes(type));
  if (unknown !== undefined) throw new UsageError(`--types are ${TYPES.join(', ')}; "${unknown}" is none of them.`);
  return types;
}

function readLevel(text) {
  if (text === undefined || LEVELS.includes(text)) return text;
  throw new UsageError(`--min-level is ${LEVELS.join(', ')}; not "${text}".`);
}
