import type { ApiWorld, Place, Principal, Side } from '../api-world.js';

/** One field of the matrix: who asks for whose things. */
export interface Cell {
  world: ApiWorld;
  who: Principal;
  side: Side;
  place: Place;
  /** Whether the request is to be carried out: then it may only touch what was made for it. */
  allowed: boolean;
}

/** How to ask: ids by the names in the path, and the rest. */
export interface Ask {
  ids?: Record<string, string>;
  query?: Record<string, string>;
  body?: object;
}

/** What somebody may do: `ok`, or the status of the refusal. */
export type Access = (who: Principal, side: Side) => 'ok' | 401 | 403 | 404;

/** An operation: who may, what success is, and a valid request. */
export interface Row {
  access: Access;
  /** Status of the answer to those who may. */
  ok: number;
  /** Of an operation without ids in its path. */
  ask?: (cell: Cell) => Ask | Promise<Ask>;
  /** Whose things are at stake is in the body: true makes two columns of an operation without ids in its path. */
  sides?: boolean;
  /** Puts the world right again after a request that was carried out. */
  after?: (cell: Cell, answer: unknown) => Promise<unknown>;
}

export type Rows = Readonly<Record<string, Row>>;

const RANK: Partial<Record<Principal, number>> = { viewer: 1, editor: 2, script: 2, owner: 3, admin: 4 };

/** By the role on the board; strangers are told that there is nothing, agents that it is none of their business. */
function boardRole(least: 'viewer' | 'editor' | 'owner'): Access {
  return (who, side) => {
    if (who === 'anonymous' || who === 'expired') return 401;
    if (who === 'agent') return 403;
    if (who === 'admin') return 'ok';
    if (side === 'foreign' || who === 'outsider') return 404;
    return (RANK[who] ?? 0) >= (RANK[least] ?? 0) ? 'ok' : 403;
  };
}

export const READ = boardRole('viewer');
export const WRITE = boardRole('editor');
export const MANAGE = boardRole('owner');

/** Administrators alone, whatever the ids. */
export const ADMIN: Access = (who) => {
  if (who === 'anonymous' || who === 'expired') return 401;
  return who === 'admin' ? 'ok' : 403;
};

/** Whoever is signed in, for themselves. */
export const SIGNED_IN: Access = (who) => {
  if (who === 'anonymous' || who === 'expired') return 401;
  return who === 'agent' ? 403 : 'ok';
};

/** The same, but in person: not with an API key. */
export const inPerson =
  (access: Access): Access =>
  (who, side) =>
    who === 'script' ? 403 : access(who, side);
export const IN_PERSON = inPerson(SIGNED_IN);

/** Things that belong to one user: nobody else gets at them. */
export const notForeign =
  (access: Access): Access =>
  (who, side) => {
    const status = access(who, side);
    return status === 'ok' && side === 'foreign' ? 404 : status;
  };

/** Accounts: what is not one's own is there for administrators alone. */
export const accountFor =
  (own: Access): Access =>
  (who, side) => {
    const status = SIGNED_IN(who, side);
    if (status !== 'ok' || who === 'admin') return status;
    return side === 'foreign' ? 404 : own(who, side);
  };

/** What an agent alone may do, on its own account. */
export const AGENT: Access = (who, side) => {
  if (who === 'anonymous' || who === 'expired') return 401;
  if (who !== 'agent') return 403;
  return side === 'own' ? 'ok' : 404;
};

/** Everybody, whatever they send as a token. */
export const PUBLIC: Access = () => 'ok';

/** Like another access, and the agent of the own task too. */
export const orAgent =
  (access: Access): Access =>
  (who, side) => {
    if (who !== 'agent') return access(who, side);
    return side === 'own' ? 'ok' : 404;
  };

/** A new task of the board's owner for those who may, else the one that is there. */
export async function taskFor({ allowed, place, world }: Cell, fields: object = {}): Promise<string> {
  if (!allowed) return place.task;
  return (await place.owner.createTask(place.board, { title: world.name('task'), ...fields })).id;
}

/** A new board of the board's owner for those who may, else the one that is there. */
export async function boardFor({ allowed, place, world }: Cell): Promise<string> {
  return allowed ? place.owner.createBoard(world.name('board')) : place.board;
}
