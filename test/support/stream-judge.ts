import type { SubscribeReceipt, SubscribeRequest } from '../../src/modules/streaming/app/subscriptions.js';
import { filterOf, passes, type MessageFilter } from '../../src/modules/streaming/domain/message-filter.js';
import type { StreamWorld, WorldClient } from './stream-world.js';

/** Somebody who has subscribed, with what there is to be judged by. */
export interface Follower {
  client: WorldClient;
  request: SubscribeRequest;
  receipt?: SubscribeReceipt;
  /** Tasks that were there when it asked. */
  old: Set<string>;
  /** Boards that it followed once it had its answer. */
  boards: Set<string>;
  /** What it has asked for later of single tasks, with the task's head at that time. */
  later: Map<string, { head: number; filter: MessageFilter | null }[]>;
}

/** What a follower has to complain about: what is missing, came twice, out of order, or was not asked for. */
export function complaintsOf(world: StreamWorld, follower: Follower): string[] {
  const { client, request, receipt, old, boards } = follower;
  const heads = new Map(receipt!.subscribed.map(({ task_id, head_seq }) => [task_id, head_seq]));
  return [...world.boardOf.keys()].flatMap((task) => {
    const got = client.sink.of(task);
    const late = !heads.has(task);
    const board = world.boardOf.get(task)!;
    if (late && (old.has(task) || !client.connection.coversBoard(board))) {
      return got.length > 0 ? [`${task}: got ${got.join()} of a stream it did not ask for`] : [];
    }
    // A task on a board it did not know either starts with the first hint that arrives.
    const first = boards.has(board) ? 0 : (got[0] ?? world.head(task) + 1) - 1;
    const start = late ? first : (request.after?.[task] ?? heads.get(task)!);
    return complaintsAbout(world, follower, task, start);
  });
}

function complaintsAbout(
  world: StreamWorld,
  { client: { sink }, request, later }: Follower,
  task: string,
  start: number,
): string[] {
  const got = sink.of(task);
  const gone = Math.max(0, ...sink.resets.filter(({ task_id }) => task_id === task).map((reset) => reset.first_seq));
  const filters = [{ head: 0, filter: filterOf(request) }, ...(later.get(task) ?? [])];
  const complaints = got.filter((seq, i) => seq <= (got[i - 1] ?? start)).map((seq) => `${seq} out of order`);
  const has = new Set(got);
  for (const message of world.history(task).slice(start)) {
    // A filter does not reach back to what was there when it was asked for and is sent already.
    const since = filters.findLastIndex(({ head }) => message.seq > head);
    const verdicts = filters.slice(since).map(({ filter }) => filter === null || passes(filter, message));
    const isGone = message.seq < gone && message.seq < world.firstKept(task);
    if (has.has(message.seq) ? !verdicts.includes(true) : verdicts.every(Boolean) && !isGone) {
      complaints.push(`${message.seq} ${has.has(message.seq) ? 'came' : 'is missing'}`);
    }
  }
  for (const position of sink.positions.filter(({ task_id }) => task_id === task)) {
    const next = got[position.got] ?? Infinity;
    if (next <= position.seq || position.seq > world.head(task)) complaints.push(`position ${position.seq}`);
  }
  return complaints.map((complaint) => `${task}: ${complaint}; got ${got.join()}`);
}
