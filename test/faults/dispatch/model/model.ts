import { SLOTS, type Column, type Command } from './commands.js';

/** Attempts of a run in all, and runs at once: settings of the server that the model is compared with. */
export const MAX_ATTEMPTS = 2;
export const PLACES = 2;
const FORCED_PRIORITY = 10;
const MS_PER_PRIORITY = 60_000; // what a priority is worth in waiting

type RunState = 'QUEUED' | 'RUNNING' | 'PAUSED' | 'COMPLETED' | 'FAILED' | 'CANCELLED';

/** What a task shows when nothing is under way any more. */
export interface Expected {
  state: Column;
  run_state: RunState | null;
  attempt: number | null;
}

interface ModelRun {
  state: RunState;
  attempt: number;
  rank: number;
  /** Its task has gone into progress with it. */
  dispatched: boolean;
}

const MOVES: Record<Column, readonly Column[]> = {
  TODO: ['IN_PROGRESS'],
  IN_PROGRESS: ['BLOCKED', 'COMPLETED', 'FAILED', 'CANCELLED'],
  BLOCKED: ['IN_PROGRESS'],
  COMPLETED: ['TODO'],
  FAILED: ['TODO'],
  CANCELLED: ['TODO'],
};
const ENDS: readonly string[] = ['COMPLETED', 'FAILED', 'CANCELLED'];

/** A task, its latest run and that run's present attempt, as the contract has them; no database, no time, no failure. */
export class Model {
  readonly tasks: ({ state: Column; run: ModelRun | null } | null)[] = Array.from({ length: SLOTS }, () => null);

  /** Does it; the status that the server has to answer with, or undefined where there is nothing to ask it for. */
  apply({ kind, slot, priority, column }: Command, now: number): number | undefined {
    const task = this.tasks[slot];
    if (kind === 'create') {
      if (task) return undefined;
      this.tasks[slot] = { state: 'TODO', run: null };
      return 201;
    }
    if (!task || kind === 'nothing') return undefined;
    switch (kind) {
      case 'start':
        if (task.state !== 'TODO' && task.state !== 'IN_PROGRESS') return 409;
        return this.start(slot, now - priority * MS_PER_PRIORITY);
      case 'force':
        return this.start(slot, now - FORCED_PRIORITY * MS_PER_PRIORITY);
      case 'stop':
      case 'kill_by_force':
        if (!isLive(task.run)) return 409;
        this.end(slot, 'CANCELLED');
        return 200;
      case 'pause':
      case 'resume':
        if (task.run?.state !== 'RUNNING' && task.run?.state !== 'PAUSED') return 409;
        task.run.state = kind === 'pause' ? 'PAUSED' : 'RUNNING';
        return 200;
      case 'move':
        return this.move(slot, column, now);
      case 'delete':
        if (isLive(task.run)) return 409;
        this.tasks[slot] = null;
        return 204;
      default:
        return this.agent(slot, kind);
    }
  }

  /** What each task has to show; null where there is none. */
  expected(): (Expected | null)[] {
    return this.tasks.map(
      (task) =>
        task && { state: task.state, run_state: task.run?.state ?? null, attempt: task.run ? task.run.attempt : null },
    );
  }

  private start(slot: number, rank: number): number {
    const task = this.tasks[slot]!;
    if (isLive(task.run)) return 409;
    if (ENDS.includes(task.state)) task.state = 'TODO';
    task.run = { state: 'QUEUED', attempt: 0, rank, dispatched: false };
    this.claim();
    return 202;
  }

  private move(slot: number, column: Column, now: number): number {
    const task = this.tasks[slot]!;
    if (!MOVES[task.state].includes(column)) return 409;
    const begins = task.state === 'TODO' && column === 'IN_PROGRESS';
    task.state = column;
    if (ENDS.includes(column) && isLive(task.run)) {
      task.run!.state = 'CANCELLED'; // the card stays where the person has put it
      this.claim();
    }
    if (begins && !isLive(task.run)) this.start(slot, now - this.ownPriority * MS_PER_PRIORITY);
    return 200;
  }

  /** Of tasks as these tests make them. */
  private readonly ownPriority = 5;

  private agent(slot: number, kind: string): number | undefined {
    const { run } = this.tasks[slot]!;
    if (run?.state !== 'RUNNING') return undefined;
    if (kind === 'agent_completes') this.end(slot, 'COMPLETED');
    else if (kind === 'agent_fails' || run.attempt >= MAX_ATTEMPTS) this.end(slot, 'FAILED');
    else {
      // While it waits for its next attempt it holds no place: whoever waits for one is faster.
      run.state = 'PAUSED';
      this.claim(1);
      run.state = 'QUEUED';
      this.claim();
    }
    return 0;
  }

  private end(slot: number, state: 'COMPLETED' | 'FAILED' | 'CANCELLED'): void {
    const task = this.tasks[slot]!;
    task.run!.state = state;
    task.state = state;
    this.claim();
  }

  /** Places are given to those of the earliest rank; `more` of them than there are. */
  private claim(more = 0): void {
    const runs = this.tasks.flatMap((task) => (task?.run ? [{ task, run: task.run }] : []));
    const queued = runs.filter(({ run }) => run.state === 'QUEUED').toSorted((a, b) => a.run.rank - b.run.rank);
    const held = runs.filter(({ run }) => run.state === 'RUNNING' || run.state === 'PAUSED').length;
    for (const { task, run } of queued.slice(0, Math.max(0, PLACES + more - held))) {
      run.state = 'RUNNING';
      run.attempt += 1;
      if (!run.dispatched) task.state = 'IN_PROGRESS';
      run.dispatched = true;
    }
  }
}

function isLive(run: ModelRun | null): boolean {
  return run !== null && !ENDS.includes(run.state);
}
