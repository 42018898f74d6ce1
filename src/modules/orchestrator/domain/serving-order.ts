/** The runs of one user on one board that may be claimed, and how far the queue has served both. */
export interface ShareOfQueue {
  board_id: string;
  user_id: string;
  /** Service that the board and, on it, the user have had; the least is next. */
  board_pass: number;
  user_pass: number;
  /** Where the service of all boards, and of the board's users, is: who is behind that is served, and then goes on there. */
  board_service: number;
  user_service: number;
  /** What a claim adds to each: one part of its weight. */
  board_step: number;
  user_step: number;
  /** How many runs. */
  queued: number;
}

/** The `nth` run (from 1) of a share, by rank. */
export interface Place<S extends ShareOfQueue = ShareOfQueue> {
  share: S;
  nth: number;
}

/** One of those who take turns: at `pass` first, then a step further each time from there or from `service`. */
interface Turns {
  pass: number;
  service: number;
  step: number;
}

interface Line<T> extends Turns {
  id: string;
  left: T;
}

/**
 * The order in which the claim serves the queue as it is now, if nothing holds any of it up: of the board that is
 * furthest behind, on it of the user that is. Passes are added up one by one, as the claim does: a multiplication would
 * round otherwise, and break ties in another way. Made as far as it is read.
 */
export function* servingOrder<S extends ShareOfQueue>(shares: readonly S[]): Generator<Place<S>, void> {
  const boards = Map.groupBy(
    shares.filter(({ queued }) => queued > 0),
    ({ board_id }) => board_id,
  );
  const lines = [...boards].map(([id, users]): Line<Line<Place<S>>[]> => {
    const left = users.map((share): Line<Place<S>> => {
      return { id: share.user_id, ...userTurns(share), left: { share, nth: 0 } };
    });
    return { id, ...boardTurns(users[0]!), left: left.toSorted(compare) };
  });
  lines.sort(compare);
  for (let board = lines[0]; board; board = lines[0]) {
    const user = board.left[0]!;
    user.left.nth += 1;
    yield { share: user.left.share, nth: user.left.nth };
    moveOn(board.left, user.left.nth === user.left.share.queued);
    moveOn(lines, board.left.length === 0);
  }
}

/** The position, from 1, of a place in {@link servingOrder}, without going through all of it. */
export function positionOf(shares: readonly ShareOfQueue[], { share, nth }: Place): number {
  const mates = shares.filter(({ board_id }) => board_id === share.board_id);
  const pass = passOf(userTurns(share), nth);
  let turn = 0; // which of its board's runs it is
  for (const mate of mates) {
    if (mate === share) turn += nth;
    else turn += turnsBefore(userTurns(mate), mate.queued, pass, mate.user_id < share.user_id);
  }
  const boardPass = passOf(boardTurns(share), turn);
  let position = turn;
  for (const [board_id, others] of Map.groupBy(shares, (each) => each.board_id)) {
    if (board_id === share.board_id) continue;
    const queued = others.reduce((sum, other) => sum + other.queued, 0);
    position += turnsBefore(boardTurns(others[0]!), queued, boardPass, board_id < share.board_id);
  }
  return position;
}

function boardTurns({ board_pass, board_service, board_step }: ShareOfQueue): Turns {
  return { pass: board_pass, service: board_service, step: board_step };
}

function userTurns({ user_pass, user_service, user_step }: ShareOfQueue): Turns {
  return { pass: user_pass, service: user_service, step: user_step };
}

function next({ pass, service, step }: Turns): number {
  return Math.max(pass, service) + step;
}

/** At which pass the nth turn is, from 1. */
function passOf(turns: Turns, nth: number): number {
  let { pass } = turns;
  for (let turn = 1; turn < nth; turn++) pass = next({ ...turns, pass });
  return pass;
}

/** How many turns come before one at `limit`; at the same pass those of the lower id do. */
function turnsBefore(turns: Turns, queued: number, limit: number, isLower: boolean): number {
  let count = 0;
  for (
    let { pass } = turns;
    count < queued && (isLower ? pass <= limit : pass < limit);
    pass = next({ ...turns, pass })
  ) {
    count += 1;
  }
  return count;
}

function compare(a: Line<unknown>, b: Line<unknown>): number {
  if (a.pass !== b.pass) return a.pass - b.pass; // never NaN: equal infinities are equal
  return a.id < b.id ? -1 : 1;
}

/** The first of a heap (a sorted list is one) has had its turn: it goes where it belongs now, or away. */
function moveOn(heap: Line<unknown>[], isDone: boolean): void {
  const last = isDone ? heap.pop()! : heap[0]!;
  if (!isDone) last.pass = next(last);
  if (heap.length === 0) return;
  heap[0] = last;
  for (let at = 0; ;) {
    let least = at;
    for (const child of [2 * at + 1, 2 * at + 2]) {
      if (child < heap.length && compare(heap[child]!, heap[least]!) < 0) least = child;
    }
    if (least === at) return;
    [heap[at], heap[least]] = [heap[least]!, heap[at]!];
    at = least;
  }
}
