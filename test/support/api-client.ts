/** An answer of the server; `body` is parsed JSON, or undefined without any. */
export interface Answer<T> {
  status: number;
  headers: Headers;
  body: T;
}

export interface ProblemBody {
  status: number;
  code: string;
  detail: string;
  errors?: { field: string; message: string }[];
  [extension: string]: unknown;
}

export interface SignedInBody {
  user: { id: string; email: string; username: string; role: string };
  access_token: string;
  refresh_token: string;
  token_type: string;
  expires_in: number;
}

type Headers_ = Record<string, string>;

/** Speaks the REST API, as whoever the token is of. */
export class ApiClient {
  private static names = 0;

  constructor(
    readonly base: string,
    readonly token?: string,
  ) {}

  as(token: string): ApiClient {
    return new ApiClient(this.base, token);
  }

  /** Registers a new user, and speaks as them. */
  async signUp(name = `user${++ApiClient.names}`): Promise<{ api: ApiClient; id: string; signedIn: SignedInBody }> {
    const account = { email: `${name}@example.com`, username: name, password: 'correct horse battery' };
    const { status, body } = await this.post<SignedInBody>('/auth/register', account);
    if (status !== 201) throw new Error(`registering answered ${status}: ${JSON.stringify(body)}`);
    return { api: this.as(body.access_token), id: body.user.id, signedIn: body };
  }

  get<T = ProblemBody>(path: string, headers?: Headers_): Promise<Answer<T>> {
    return this.send('GET', path, undefined, headers);
  }

  post<T = ProblemBody>(path: string, body?: unknown, headers?: Headers_): Promise<Answer<T>> {
    return this.send('POST', path, body, headers);
  }

  put<T = ProblemBody>(path: string, body?: unknown, headers?: Headers_): Promise<Answer<T>> {
    return this.send('PUT', path, body, headers);
  }

  patch<T = ProblemBody>(path: string, body?: unknown, headers?: Headers_): Promise<Answer<T>> {
    return this.send('PATCH', path, body, headers);
  }

  delete<T = ProblemBody>(path: string, headers?: Headers_): Promise<Answer<T>> {
    return this.send('DELETE', path, undefined, headers);
  }

  /** Sends a body as it is when it is a string, else as JSON. */
  async send<T = ProblemBody>(
    method: string,
    path: string,
    body?: unknown,
    headers: Headers_ = {},
  ): Promise<Answer<T>> {
    const answer = await fetch(this.base + path, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(this.token ? { authorization: `Bearer ${this.token}` } : {}),
        ...headers,
      },
      body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body),
    });
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, body: (text ? JSON.parse(text) : undefined) as T };
  }
}
