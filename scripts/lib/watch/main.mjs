/** A task's stream in a terminal: built on the TypeScript client, which sees to the connection. */
import { pathToFileURL } from 'node:url';
import { CLIENT_MAIN } from '../setup/paths.mjs';
import { explain } from './explain.mjs';
import { follow, view } from './now.mjs';
import { HELP, readOptions, UsageError } from './options.mjs';
import { RunWatch } from './run-watch.mjs';
import { Screen } from './screen.mjs';
import { readToken } from './sign-in.mjs';
import { safeJson, safeLine } from './text.mjs';
import { messageLines, painter, statusLine } from './view.mjs';

const ALWAYS = ['status', 'progress']; // what the view itself lives on

try {
  const options = readOptions(process.argv.slice(2));
  if (options.help) console.log(HELP);
  else leave(await watch(options, readToken(options.token_file, process.env)));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`watch: ${error.message}`);
  process.exitCode = 2;
}

/** @returns {Promise<number>} the exit code */
async function watch(options, token) {
  const { createKandev, StreamClient } = await import(pathToFileURL(CLIENT_MAIN).href);
  const kandev = createKandev({ baseUrl: options.url, token });
  const now = { progress: null, operation: null, connection: 'connecting', retry_at: 0 };
  const run = new RunWatch(kandev, options.task_id, (ended) => {
    screen.touch();
    if (ended && !options.follow && !options.speed) streams.close();
  });
  try {
    await run.begin();
  } catch (error) {
    return fail(error, options);
  }
  if (options.speed && !run.over) {
    run.stop();
    return fail(
      new Error(`Only a finished run can be replayed; this one is ${run.status.run_state ?? 'none'}.`),
      options,
    );
  }

  const isTty = process.stdout.isTTY && !options.json;
  const paint = painter(isTty && options.color && !process.env.NO_COLOR);
  const lastLine = (columns) => statusLine({ ...now, ...view(run.status, now), time: Date.now() }, columns, paint);
  const screen = new Screen(process.stdout, isTty ? lastLine : undefined);
  const notice = (text) => {
    if (!isTty) console.error(`watch: ${safeLine(text)}`);
  };
  endWith(() => screen.close());

  const streams = new StreamClient({ baseUrl: options.url, kandev });
  const stream = streams.messages(options.task_id, {
    after: options.after,
    types: options.types && [...new Set([...options.types, ...ALWAYS])],
    min_level: options.min_level,
    at_speed: options.speed,
    onState: (state) => {
      if (state.state === 'waiting' && now.connection === 'open') notice(`${state.reason}; coming back`);
      if (state.state === 'open') run.opened();
      else run.busy();
      const wasAway = now.connection !== 'open' && now.retry_at > 0;
      if (state.state === 'open' && wasAway) notice('connected again');
      if (state.state === 'waiting') now.retry_at = Date.now() + state.retry_in;
      now.connection = state.state === 'connecting' && wasAway ? 'waiting' : state.state;
      screen.touch();
    },
    onReset: ({ first_seq }) =>
      screen.print([paint('yellow', `-- what was asked for is gone: it goes on with number ${first_seq} --`)]),
  });

  try {
    for await (const message of stream) {
      run.busy();
      follow(now, message);
      await screen.print(shown(message, options, { isTty, paint }));
      run.heard(message);
    }
    const status = await run.last();
    screen.close();
    return conclude(status, notice, paint, isTty);
  } catch (error) {
    screen.close();
    return fail(error, options);
  } finally {
    run.stop();
    streams.close();
  }
}

/** Ends when all is written: a socket whose other side is dead would keep us for a long time. */
function leave(code) {
  process.exitCode = code;
  process.stdout.write('', () => process.stderr.write('', () => process.exit()));
}

function fail(error, options) {
  console.error(`watch: ${safeLine(explain(error, options))}`);
  return 1;
}

function shown(message, { types, json }, { isTty, paint }) {
  if (types ? !types.includes(message.type) : message.type === 'heartbeat') return [];
  if (json) return [safeJson(message)];
  return isTty && message.type === 'progress' ? [] : messageLines(message, paint);
}

function conclude(status, notice, paint, isTty) {
  const { run_state, failure_code, failure_message } = status;
  const why = failure_code ? `: ${failure_message ?? ''} (${failure_code})` : '';
  const text = run_state ? `The run is ${run_state}${why}` : 'The task has no run.';
  if (isTty) console.log(paint(run_state === 'COMPLETED' ? 'green' : 'red', safeLine(text)));
  else notice(text);
  return run_state === 'COMPLETED' ? 0 : 1;
}

/** Whatever ends us, the terminal is given back. */
function endWith(cleanUp) {
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ]) {
    process.on(signal, () => {
      cleanUp();
      process.exit(code);
    });
  }
  process.stdout.on('error', (error) => {
    if (error.code === 'EPIPE') process.exit(0); // whoever read it has enough
    throw error;
  });
}
