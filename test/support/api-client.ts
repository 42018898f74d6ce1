/** An answer of the server; `body` is parsed JSON, or undefined when it is empty. */
export interface Answer<T> {
  status: number;
  headers: Headers;
  body: T;
}

/** What an error answer looks like. */
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

/** The statuses of answers to requests made at once, lowest first. */
export function statusesOf(answers: readonly { status: number }[]): number[] {
  return answers.map(({ status }) => status).toSorted((a, b) => a - b);
}

type Fields = Record<string, string>;

/** Of every user that tests make. */
export const PASSWORD = 'correct horse battery staple';

/** Speaks the REST API, as nobody or as the user whose tokens it has. Paths are relative to `/api/v1`. */
export class ApiClient {
  constructor(
    /** Asked for each request: a server that was started again has another port. */
    private readonly server: () => string,
    readonly tokens?: SignedInBody,
  ) {}

  /** Registers a user, and speaks as them. */
  static async register(server: () => string, name: string): Promise<ApiClient> {
    const account = { email: `${name}@example.com`, username: name, password: PASSWORD };
    const { status, body } = await new ApiClient(server).post<SignedInBody>('/auth/register', account);
    if (status !== 201) throw new Error(`registering answered ${status}: ${JSON.stringify(body)}`);
    return new ApiClient(server, body);
  }

  get token(): string {
    return this.tokens?.access_token ?? '';
  }

  get userId(): string {
    return this.tokens?.user.id ?? '';
  }

  /** The same server, spoken to with another access token; with none as nobody. */
  withToken(access_token: string): ApiClient {
    return new ApiClient(this.server, { ...this.tokens, access_token } as SignedInBody);
  }

  get<T = ProblemBody>(path: string, headers?: Fields): Promise<Answer<T>> {
    return this.send('GET', path, undefined, headers);
  }

  post<T = ProblemBody>(path: string, body?: unknown, headers?: Fields): Promise<Answer<T>> {
    return this.send('POST', path, body, headers);
  }

  put<T = ProblemBody>(path: string, body?: unknown, headers?: Fields): Promise<Answer<T>> {
    return this.send('PUT', path, body, headers);
  }

  patch<T = ProblemBody>(path: string, body?: unknown, headers?: Fields): Promise<Answer<T>> {
    return this.send('PATCH', path, body, headers);
  }

  delete<T = ProblemBody>(path: string, headers?: Fields): Promise<Answer<T>> {
    return this.send('DELETE', path, undefined, headers);
  }

  /** Sends a string as it is, everything else as JSON. */
  async send<T = ProblemBody>(method: string, path: string, body?: unknown, headers: Fields = {}): Promise<Answer<T>> {
    const answer = await fetch(`${this.server()}/api/v1${path}`, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(this.token ? { authorization: `Bearer ${this.token}` } : {}),
        ...headers,
      },
      body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
    });
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, body: (text ? JSON.parse(text) : undefined) as T };
  }
}
