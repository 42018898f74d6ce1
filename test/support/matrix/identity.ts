import { PASSWORD, type SignedInBody } from '../api-client.js';
import { accountFor, ADMIN, IN_PERSON, inPerson, notForeign, PUBLIC, SIGNED_IN, type Cell, type Rows } from './row.js';

/** A new sign-in of the extra user. */
async function signedIn({ world }: Cell): Promise<SignedInBody> {
  const body = { username: 'extra', password: PASSWORD };
  return (await world.ask({ method: 'POST', path: '/api/v1/auth/login', body })).json as SignedInBody;
}

async function refreshToken(cell: Cell) {
  return { body: { refresh_token: (await signedIn(cell)).refresh_token } };
}

export const AUTH: Rows = {
  register: {
    access: PUBLIC,
    ok: 201,
    ask: ({ world }) => {
      const username = world.name('new');
      return { body: { email: `${username}@example.com`, username, password: PASSWORD } };
    },
  },
  login: { access: PUBLIC, ok: 200, ask: () => ({ body: { username: 'extra', password: PASSWORD } }) },
  refreshTokens: { access: PUBLIC, ok: 200, ask: refreshToken },
  logout: { access: PUBLIC, ok: 204, ask: refreshToken },
  getMe: { access: SIGNED_IN, ok: 200 },
  // The password is changed to what it was; who did it has to sign in again.
  changePassword: {
    access: IN_PERSON,
    ok: 200,
    ask: () => ({ body: { current_password: PASSWORD, new_password: PASSWORD } }),
    after: ({ world, who }) => world.signIn(world.person(who)),
  },
  createTicket: { access: SIGNED_IN, ok: 201 },
};

const onUser = ({ world, who, side }: Cell) => {
  const { userId, tokens } = side === 'own' ? world.person(who) : world.people.stranger;
  return { ids: { userId }, body: { role: tokens?.user.role } };
};

export const USERS: Rows = {
  listUsers: { access: ADMIN, ok: 200 },
  lookUpUser: { access: SIGNED_IN, ok: 200, ask: () => ({ query: { login: 'stranger' } }) },
  getUser: { access: accountFor(SIGNED_IN), ok: 200, ask: (cell) => ({ ids: onUser(cell).ids }) },
  updateUser: { access: inPerson(accountFor(ADMIN)), ok: 200, ask: onUser },
  listAudit: { access: ADMIN, ok: 200 },
};

/** A key of the principal's own, or of a stranger. Those of earlier requests go: a user may have some dozens only. */
async function keyOf({ world, who, side }: Cell): Promise<string> {
  await world.database.query(`delete from api_keys where name like 'key-%'`);
  const { token } = side === 'own' ? world.person(who) : world.people.stranger;
  const body = { name: world.name('key') };
  return ((await world.ask({ method: 'POST', path: '/api/v1/api-keys', token, body })).json as { id: string }).id;
}

const deleteKey = ({ world, who }: Cell, { id }: { id: string }) =>
  world.ask({ method: 'DELETE', path: `/api/v1/api-keys/${id}`, token: world.person(who).token });

export const API_KEYS: Rows = {
  // One user has no more than some dozens.
  createApiKey: {
    access: IN_PERSON,
    ok: 201,
    ask: ({ world }) => ({ body: { name: world.name('key') } }),
    after: (cell, answer) => deleteKey(cell, answer as { id: string }),
  },
  listApiKeys: { access: IN_PERSON, ok: 200 },
  deleteApiKey: {
    access: notForeign(IN_PERSON),
    ok: 204,
    ask: async (cell) => ({ ids: { keyId: await keyOf(cell) } }),
  },
};
