import { weighted } from '../../../../bench/lib/random.js';

/** Where a person may try to move a card. */
export const COLUMNS = ['TODO', 'IN_PROGRESS', 'BLOCKED', 'COMPLETED', 'FAILED', 'CANCELLED'] as const;
export type Column = (typeof COLUMNS)[number];

const KINDS = [
  ...(['create', 'start', 'force', 'stop', 'kill_by_force', 'pause', 'resume', 'move', 'delete'] as const),
  ...(['agent_completes', 'agent_fails', 'agent_vanishes', 'nothing'] as const),
] as const;
export type Kind = (typeof KINDS)[number];

/** How often each is tried. */
const WEIGHTS: readonly (readonly [Kind, number])[] = [
  ...([
    ['create', 8],
    ['start', 12],
    ['force', 4],
  ] as const),
  ...([
    ['stop', 5],
    ['kill_by_force', 2],
    ['pause', 5],
    ['resume', 5],
    ['move', 10],
    ['delete', 2],
  ] as const),
  ...([
    ['agent_completes', 8],
    ['agent_fails', 3],
    ['agent_vanishes', 4],
    ['nothing', 2],
  ] as const),
];
export const SLOTS = 5; // tasks at a time: more than may run at once, so that some wait
const CRASHES = 0.2;

/** One thing that happens. Data alone, so that the same things can happen again. */
export interface Command {
  kind: Kind;
  /** Which of the tasks. */
  slot: number;
  /** Of a new task, or a start. */
  priority: number;
  /** Of a move. */
  column: Column;
  /** The server is killed as soon as it has answered, and started again. */
  crash: boolean;
}

/** What happens, by the seed alone. */
export function commandsOf(random: () => number, count: number): Command[] {
  return Array.from({ length: count }, () => ({
    kind: weighted(random, WEIGHTS),
    slot: Math.floor(random() * SLOTS),
    priority: Math.floor(random() * 11),
    column: COLUMNS[Math.floor(random() * COLUMNS.length)]!,
    crash: random() < CRASHES,
  }));
}

/** In a few words. */
export function told({ kind, slot, priority, column, crash }: Command): string {
  const details = kind === 'move' ? ` to ${column}` : kind === 'start' ? ` with priority ${priority}` : '';
  return `${kind} ${slot}${details}${crash ? ', kill' : ''}`;
}
