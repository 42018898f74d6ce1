import type { TrialFacts } from '../../contracts/trial-dialogues.js';
import type { CheckTarget, Verdict } from './image-check.types.js';
import { unanswered, type Talked } from './unanswered.js';

/** The first turn. */
export function turn(run: Talked, target: CheckTarget): Verdict {
  const { session, failure, turn: ended } = run.session;
  if (target.session.prompt === null) return ['skip', 'Nobody asked for one.'];
  if (!session) return ['skip', 'It has no session.'];
  const tokens = ended?.tokens == null ? '' : `, ${ended.tokens} tokens`;
  if (ended && !(failure && ended.stop_reason === null))
    return ['pass', `${ended.stop_reason ?? 'no reason'} after ${ended.ms} ms${tokens}`];
  return unanswered(run, target, 'session/prompt', 'agent.timeout');
}

/** The first permission request. */
export function permission({ permissions }: TrialFacts, { session: { prompt, answer } }: CheckTarget): Verdict {
  if (prompt === null) return ['skip', 'Nobody asked for a turn.'];
  const [first] = permissions;
  if (!first) return ['skip', 'It asked for none.'];
  const { title, options, option_id, resumed_ms } = first;
  const about = `${permissions.length} asked, such as "${title ?? 'without a title'}" (${options.join(', ')})`;
  const said = option_id === null ? `cancelled, as it offers nothing to ${answer}` : `answered ${option_id}`;
  if (resumed_ms === null) return ['warn', `${about}; ${said}, and nothing came after that`];
  return ['pass', `${about}; ${said}, it went on after ${resumed_ms} ms`];
}

/** The turn that was cancelled. */
export function cancel({ session: { cancel: ended, turn: before, failure } }: Talked, target: CheckTarget): Verdict {
  if (target.session.prompt === null || !before) return ['skip', 'There was no turn to cancel.'];
  if (failure) return ['fail', failure.text, failure.code];
  if (!ended) return ['skip', 'The turn was over before it could be cancelled, or there was no time left.'];
  const text = `${ended.stop_reason ?? 'no reason'} after ${ended.ms} ms`;
  return ended.stop_reason === 'cancelled' ? ['pass', text] : ['warn', `${text}, where "cancelled" is the reason`];
}

/** The session of the first run in the second one. */
export function loaded(first: TrialFacts, second: TrialFacts | null, { session: { prompt } }: CheckTarget): Verdict {
  const { session, capabilities: can } = first;
  if (!session) return ['skip', 'There is no session to load.'];
  if (!can!.load && !can!.resume) return ['skip', 'It says that it can not.'];
  if (!second) return ['skip', 'It was not started again.'];
  if (second.session && second.session.how !== 'new')
    return ['pass', `${second.session.how} after ${second.session.ms} ms`];
  const why = second.not_loaded ?? second.failure?.text ?? 'It did not answer in time.';
  // Many keep a session from its first turn on.
  if (prompt === null || !first.turn) return ['skip', `${why} Nothing had been said in it: try it with a prompt.`];
  return second.failure ? ['fail', why, second.failure.code] : ['warn', why];
}
