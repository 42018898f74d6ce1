import { ENGINE_LABEL } from '../../../common/validation/host-label.js';
import type { TaskState } from '../../task/contracts/task.types.js';
import type { HostHoldUp, LimitHoldUp } from './hold-up.js';

/**
 * What a run waits for; docs/waiting.md says of each what to do. Of a queued one: other tasks; room in its board's column;
 * a certain time; an agent that was left behind; a limit; a host; a host's disk; nothing but its turn. Of one that is being launched: what is done for it.
 * Of any that a host has: its container engine, where that does not answer.
 */
export const WAIT_REASONS = [
  ...(['dependencies', 'wip_limit', 'back_off', 'retry_after', 'budget', 'agent_left'] as const),
  ...(['limit', 'host', 'disk', 'queue'] as const),
  ...(['preparation', 'clone', 'image_pull', 'launch', 'engine'] as const),
] as const;
export type WaitReason = (typeof WAIT_REASONS)[number];

/** A task that has to be completed first. */
export interface AwaitedTask {
  task_id: string;
  title: string;
  state: TaskState;
}

/** The column that a run's task would go into. */
export interface AwaitedColumn {
  state: TaskState;
  max_tasks: number;
  tasks: number;
}

/** The limit that is reached, by name: null for the whole server, and for what was deleted since. */
export interface AwaitedLimit extends LimitHoldUp {
  name: string | null;
}

/** What holds a run up: one reason, the one that has to go first, and what belongs to it. */
export interface WaitingFor {
  reason: WaitReason;
  /** The same for people, in a sentence or two. */
  message: string;
  /** Of `dependencies`. */
  tasks: AwaitedTask[];
  /** Of `wip_limit`. */
  column: AwaitedColumn | null;
  /** Of `back_off`, `retry_after`, `budget` and `agent_left`: when it goes back into the queue. RFC 3339. */
  until: string | null;
  /** Of `limit`. */
  limit: AwaitedLimit | null;
  /** Of `host`. */
  host: HostHoldUp | null;
  /** Of `clone` and `image_pull`: percent. */
  progress: number | null;
  /** Place in the whole queue, 1 is next; null for a run that is not in line: it waits for tasks or a time, or has left. */
  position: number | null;
}

export type Waiting = Partial<WaitingFor> & Pick<WaitingFor, 'reason'>;

/** The whole of it, with the sentence. */
export function waitingFor(waiting: Waiting): WaitingFor {
  const nothing = { tasks: [], column: null, until: null, limit: null, host: null, progress: null, position: null };
  return { message: sentenceOf(waiting), ...nothing, ...waiting };
}

function sentenceOf(waiting: Waiting): string {
  const { reason, tasks = [], until, column, limit, host, position, progress } = waiting;
  const when = until ? ` at ${until}` : '';
  const percent = typeof progress === 'number' ? `, ${Math.round(progress)} %` : '';
  const sentences: Record<WaitReason, () => string> = {
    dependencies: () => `It waits for ${tasks.length === 1 ? 'a task' : `${tasks.length} tasks`} to be completed.`,
    wip_limit: () => columnSentence(column),
    back_off: () => `Its last attempt failed. It goes back into the queue${when}.`,
    retry_after: () => `A provider has asked to be left alone for a while. It goes back into the queue${when}.`,
    budget: () => budgetSentence('A budget is used up.', until),
    agent_left: () => LEFT_BEHIND,
    limit: () => (limit ? limitSentence(limit) : 'A limit is reached.'),
    host: () => (host ? hostSentence(host) : 'No host takes it.'),
    disk: () => 'The disks of the hosts that it may run on are nearly full.',
    queue: () => turnSentence(position ?? null),
    preparation: () => 'Its workspace is being prepared.',
    clone: () => `Its repository is being cloned${percent}.`,
    image_pull: () => `The image of its agent type is being pulled${percent}.`,
    launch: () => 'Its agent is being started.',
    engine: () => 'The container engine of its host does not answer.',
  };
  return sentences[reason]();
}

const LEFT_BEHIND =
  'An earlier agent of its task can not be reached, and may still work in its workspace: it waits until that is gone.';

/** The host and since when its engine is away (RFC 3339); a run that is to stop can't, and by force it ends all the same. */
export function engineSentence(host: string, since: string, isStopping: boolean): string {
  const away = `The container engine of the host ${host} does not answer since ${since}`;
  if (!isStopping) return `${away}: nobody knows how its agent is.`;
  return `${away}, so its agent can not be stopped. A stop by force ends the run within a minute, without its agent.`;
}

/** The hosts on which earlier agents of a task were left behind. */
export function leftBehindSentence(hosts: readonly string[]): string {
  if (hosts.length === 0) return LEFT_BEHIND;
  return `${LEFT_BEHIND} It is on the host ${hosts.join(', ')}, which removes it when its container engine answers.`;
}

/** Who would bring a run back into line, and does not. */
export const NOBODY_KEEPS =
  'Nobody looks after the queue: no process with KANDEV_ROLE=orchestrator (or all) was heard of, and without one it stays where it is.';

/** `which`: the budget and who can raise it, in sentences. */
export function budgetSentence(which: string, until: string | null | undefined): string {
  return `${which} It goes back into the queue${until ? ` at ${until}` : ''}.`;
}

function columnSentence(column: AwaitedColumn | null | undefined): string {
  if (!column) return "It waits for room in its board's column.";
  const { state, max_tasks, tasks } = column;
  const full = `Its board takes ${max_tasks} tasks in ${state} and has ${tasks}`;
  return tasks >= max_tasks ? `${full}.` : `${full}; the room that is left is for runs that were queued before it.`;
}

function limitSentence({ scope, name, max_running, running }: AwaitedLimit): string {
  const named = name === null ? '' : ` ${JSON.stringify(name)}`;
  const whose = {
    server: 'The whole server',
    host: `The host${named}`,
    board: `The board${named}`,
    user: `The user${named}`,
    agent_type: `The agent type${named}`,
  }[scope];
  return `${whose} may have ${max_running} ${max_running === 1 ? 'run' : 'runs'} at once and has ${running}.`;
}

function hostSentence({ problem, labels, missing_memory_bytes, missing_cpus }: HostHoldUp): string {
  const lacks = [
    ...(missing_memory_bytes > 0 ? [`${Math.ceil(missing_memory_bytes / 2 ** 20)} MiB of memory`] : []),
    ...(missing_cpus > 0 ? [`${Math.ceil(missing_cpus * 100) / 100} cores`] : []),
  ];
  return {
    none_up: 'No host is up: a process with KANDEV_ROLE=runner (or all) has to be there.',
    labels: labels.includes(ENGINE_LABEL)
      ? 'No host that is up has a container engine that answers.'
      : `No host that is up has the labels that its agent type asks for: ${labels.join(', ')} missing.`,
    draining: 'Every host that it may run on drains.',
    full: 'Every place on the hosts that it may run on is taken.',
    resources: `No host has room for it: the one with most room lacks ${lacks.join(' and ')}.`,
    saving_up: 'The room that is free is kept for a larger run that has waited for long.',
  }[problem];
}

function turnSentence(position: number | null): string {
  if (position === null) return 'It takes its place in the queue in a moment.';
  const ahead = position - 1;
  if (ahead === 0) return 'It is next.';
  return `Nothing but its turn: ${ahead} ${ahead === 1 ? 'run is' : 'runs are'} ahead of it.`;
}
