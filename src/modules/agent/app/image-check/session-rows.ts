import type { TrialFacts } from '../../contracts/trial-dialogues.js';
import type { CheckRow, CheckTarget, TrialRun, Verdict } from './image-check.types.js';
import { cancel, loaded, permission, turn } from './turn-rows.js';
import { unanswered, type Talked } from './unanswered.js';

/** Slower than this people wonder whether anything happens. */
const SLOW_MS = 10_000;
const METHOD_NOT_FOUND = -32601;
/** A line that is longer takes the database and whoever watches a while. */
const LONG_LINE_BYTES = 4 * 1024 * 1024;

/** What holds of the Agent Client Protocol, from both runs. Pure. */
export function sessionRows(target: CheckTarget, whole: TrialRun, stopped: TrialRun | null): CheckRow[] {
  const run = whole as Talked;
  const { session: facts } = run;
  const rows: CheckRow[] = [];
  const add = (check: string, promise: string, [outcome, detail, code]: Verdict): void => {
    rows.push({ check, promise, outcome, detail, code: code ?? null });
  };
  add('session.initialize', 'It answers initialize, in version 1 of the protocol', initialize(run, target));
  add('session.stdout', 'It writes nothing but JSON-RPC to stdout', noise(facts));
  add('session.lines', 'Its lines are of a length that can be taken in', lines(facts));
  add('session.text', 'What it writes is UTF-8', texts(facts));
  if (!facts.capabilities) return rows;
  add('session.capabilities', 'It can load sessions', capabilities(facts));
  add('session.auth_methods', 'It says how it is authenticated', authMethods(facts));
  add('session.new', 'It opens a session', opened(run, target));
  if (facts.asked_unknown)
    add('session.unknown_method', 'It refuses a method that there is not, read in pieces', unknownMethod(run));
  add('session.prompt', 'It answers a prompt', turn(run, target));
  add('session.permission', 'It goes on when a permission request is answered', permission(facts, target));
  add('session.cancel', 'It ends a turn that is cancelled', cancel(run, target));
  add('session.load', 'It loads its session in another container', loaded(facts, stopped?.session ?? null, target));
  return rows;
}

function initialize(run: Talked, target: CheckTarget): Verdict {
  const { initialize_ms: ms, protocol_version, agent, failure } = run.session;
  if (ms === null) return unanswered(run, target, 'initialize', 'session.initialize_timeout');
  const isFine = protocol_version === 1;
  if (failure && !isFine) return ['fail', `${failure.text} It answered after ${ms} ms.`, failure.code];
  const who = agent ? [agent.name, agent.version].filter(Boolean).join(' ') : 'without a name of its own';
  const text = `version ${protocol_version}, ${who}, ${ms} ms after its start`;
  if (failure && !run.session.capabilities) return ['fail', failure.text, failure.code];
  return [ms > SLOW_MS ? 'warn' : 'pass', text];
}

function noise({ noise: { lines: count, example } }: TrialFacts): Verdict {
  if (count === 0) return ['pass', 'no other line'];
  const such = example === null ? '' : `, such as: ${example}`;
  return ['warn', `${count} lines that are none${such}. They become log messages; write them to stderr.`];
}

function lines({ failure, longest_line_bytes: longest }: TrialFacts): Verdict {
  if (failure?.code === 'session.frame_too_long') return ['fail', `${failure.text} Send less at once.`, failure.code];
  const text = `the longest has ${longest} bytes`;
  return longest > LONG_LINE_BYTES ? ['warn', `${text}: send less at once`] : ['pass', text];
}

function texts({ broken_text_lines: count }: TrialFacts): Verdict {
  if (count === 0) return ['pass', 'all of it'];
  return ['warn', `${count} lines have something in them that is none. Don't break characters where output is cut.`];
}

function capabilities({ capabilities: can }: TrialFacts): Verdict {
  const { load, resume, list, image, audio, embedded_context } = can!;
  const yes = (is: boolean): string => (is ? 'yes' : 'no');
  const kinds = [
    'text',
    ...Object.entries({ image, audio, embedded_context }).flatMap(([kind, is]) => (is ? kind : [])),
  ];
  const text = `load ${yes(load)}, resume ${yes(resume)}, list ${yes(list)}; prompts take ${kinds.join(', ')}`;
  if (load || resume) return ['pass', text];
  return ['warn', `${text}. Each follow-up begins a new session that knows nothing of the one before.`];
}

function authMethods({ auth_methods: methods, failure }: TrialFacts): Verdict {
  if (methods.length === 0 && failure?.code === 'session.auth_required')
    return ['warn', 'It names no way, but wants one. People have to find it in its own documents.'];
  if (methods.length === 0) return ['pass', 'it names none, and asked for none'];
  const ways = methods.map(({ id, variables }) => id + (variables.length > 0 ? ` (${variables.join(', ')})` : ''));
  return ['pass', ways.join(', ')];
}

function opened(run: Talked, target: CheckTarget): Verdict {
  const { session, failure, waits_for } = run.session;
  if (session) {
    const modes = session.modes.length > 0 ? `; modes ${session.modes.join(', ')}` : '';
    return ['pass', `after ${session.ms} ms${modes}`];
  }
  // Without the credentials of a run that is what it should say.
  if (failure?.code === 'session.auth_required') return ['warn', `It wants credentials. ${failure.text}`, failure.code];
  const isAuth = waits_for.includes('authenticate');
  return unanswered(
    run,
    target,
    isAuth ? 'authenticate' : 'session/new',
    isAuth ? 'session.auth_required' : 'session.open_timeout',
  );
}

function unknownMethod({ session: { unknown_method: said }, exit, stop_ms }: Talked): Verdict {
  const hasEnded = exit !== null && stop_ms === null; // by itself
  if (!said && hasEnded)
    return ['fail', `It ended with exit code ${exit.exit_code ?? 'unknown'}.`, 'session.agent_gone'];
  if (!said) return ['warn', 'No answer: whoever asks waits for ever. Answer with the error -32601.'];
  if (said.code === METHOD_NOT_FOUND) return ['pass', `with ${METHOD_NOT_FOUND}, after ${said.ms} ms`];
  if (said.code === null) return ['warn', 'It answered as if there were such a method. Answer with the error -32601.'];
  return ['warn', `with ${said.code} and not ${METHOD_NOT_FOUND}, after ${said.ms} ms`];
}
