/** The runs of one user on one board that may be claimed, and how far the queue has served both. */
export interface ShareOfQueue {
  board_id: string;
  user_id: string;
  /** Service that the board and, on it, the user have had; the least is next. */
  board_pass: number;
  user_pass: number;
  /** Where passes are equal the lowest is next: who has waited for longer, or had a turn longer ago. */
  board_place: number;
  user_place: number;
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
  id: string;
  pass: number;
  place: number;
  service: number;
  step: number;
}

interface Line<T> extends Turns {
  left: T;
}

/** Beyond all places of now. */
const LATER = 2 ** 52;

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
  const lines = [...boards].map(([, users]): Line<Line<Place<S>>[]> => {
    const left = users.map((share): Line<Place<S>> => {
      return { ...userTurns(share), left: { share, nth: 0 } };
    });
    return { ...boardTurns(users[0]!), left: left.toSorted(compare) };
  });
  lines.sort(compare);
  let place = LATER; // of who has had a turn
  for (let board = lines[0]; board; board = lines[0]) {
    const user = board.left[0]!;
    user.left.nth += 1;
    yield { share: user.left.share, nth: user.left.nth };
    board.place = user.place = place++;
    moveOn(board.left, user.left.nth === user.left.share.queued);
    moveOn(lines, board.left.length === 0);
  }
}

/** The position, from 1, of a place in {@link servingOrder}, without going through all of it. */
export function positionOf(shares: readonly ShareOfQueue[], { share, nth }: Place): number {
  const mates = shares.filter(({ board_id }) => board_id === share.board_id);
  const own = { turns: userTurns(share), passes: passesOf(userTurns(share), nth) };
  let turn = 0; // which of its board's runs it is
  for (const mate of mates) turn += mate === share ? nth : turnsBefore(userTurns(mate), mate.queued, own);
  const board = { turns: boardTurns(share), passes: passesOf(boardTurns(share), turn) };
  let position = turn;
  for (const [board_id, others] of Map.groupBy(shares, (each) => each.board_id)) {
    if (board_id === share.board_id) continue;
    const queued = others.reduce((sum, other) => sum + other.queued, 0);
    position += turnsBefore(boardTurns(others[0]!), queued, board);
  }
  return position;
}

function boardTurns({ board_id, board_pass, board_place, board_service, board_step }: ShareOfQueue): Turns {
  return { id: board_id, pass: board_pass, place: board_place, service: board_service, step: board_step };
}

function userTurns({ user_id, user_pass, user_place, user_service, user_step }: ShareOfQueue): Turns {
  return { id: user_id, pass: user_pass, place: user_place, service: user_service, step: user_step };
}

function next({ pass, service, step }: Turns): number {
  return Math.max(pass, service) + step;
}

/** At which passes the first turns are. */
function passesOf(turns: Turns, count: number): number[] {
  const passes: number[] = [];
  for (let { pass } = turns; passes.length < count; pass = next({ ...turns, pass })) passes.push(pass);
  return passes;
}

/** The turns of somebody, up to the one that is asked about. */
interface Asked {
  turns: Turns;
  passes: readonly number[];
}

/** How many turns come before the last of those of `own`. */
function turnsBefore(turns: Turns, queued: number, own: Asked): number {
  const limit = own.passes.at(-1)!;
  const passes: number[] = [];
  for (let { pass } = turns; passes.length < queued && pass <= limit; pass = next({ ...turns, pass })) {
    passes.push(pass);
    if (pass === limit && !isFirst({ turns, passes }, own)) return passes.length - 1;
  }
  return passes.length;
}

/** Of two turns at one pass: whoever had the turn before longer ago, or has waited for longer. */
function isFirst(a: Asked, b: Asked): boolean {
  for (let i = a.passes.length - 1, j = b.passes.length - 1; ; i--, j--) {
    const [one, other] = [a.passes[i]!, b.passes[j]!];
    if (one !== other) return one < other;
    if (i === 0 && j === 0) return compare(a.turns, b.turns) < 0;
    if (i === 0 || j === 0) return i === 0;
  }
}

function compare(a: Turns, b: Turns): number {
  if (a.pass !== b.pass) return a.pass - b.pass; // never NaN: equal infinities are equal
  if (a.place !== b.place) return a.place - b.place;
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
