import { HttpConnection, httpRequest, type HttpAnswer } from './http-connection.js';

/** A user who was registered over the API. */
export interface BenchUser {
  id: string;
  token: string;
}

/** The headers that speak as this user. */
export function as({ token }: BenchUser): Record<string, string> {
  return { Authorization: `Bearer ${token}` };
}

/** Where the API lies on a server. */
export const API = '/api/v1';

/** One request on a connection of its own, for setting things up. */
export async function call(url: string, request: Buffer): Promise<HttpAnswer> {
  const connection = await HttpConnection.open(url);
  try {
    return await connection.send(request);
  } finally {
    connection.close();
  }
}

/** The JSON of an answer. @throws Error when it has another status */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller knows what the server sends
export function expectStatus<T>(status: number, answer: HttpAnswer): T {
  if (answer.status !== status) throw new Error(`${answer.status} instead of ${status}: ${answer.body.slice(0, 500)}`);
  return (answer.body === '' ? undefined : JSON.parse(answer.body)) as T;
}

export async function register(url: string, name: string): Promise<BenchUser> {
  const account = { email: `${name}@example.com`, username: name, password: 'correct horse battery staple' };
  const answer = await call(url, httpRequest('POST', `${API}/auth/register`, {}, account));
  const { user, access_token } = expectStatus<{ user: { id: string }; access_token: string }>(201, answer);
  return { id: user.id, token: access_token };
}

/** A board of this user; returns its id. */
export async function createBoard(url: string, user: BenchUser, name: string): Promise<string> {
  const answer = await call(url, httpRequest('POST', `${API}/boards`, as(user), { name }));
  return expectStatus<{ id: string }>(201, answer).id;
}
