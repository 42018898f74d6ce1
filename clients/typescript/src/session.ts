import type { SignedIn } from './generated/types.gen.js';

/** The two tokens of a sign-in. */
export type Session = Pick<SignedIn, 'access_token' | 'refresh_token'>;

/** @internal A sign-in that is kept alive: when its access token has expired, it takes a new pair and tries again. */
export class LiveSession {
  private refreshing: Promise<boolean> | undefined;

  constructor(
    private session: Session,
    private readonly refreshUrl: string,
    private readonly fetch: typeof globalThis.fetch,
    private readonly onSession: ((session: Session) => void | Promise<void>) | undefined,
  ) {}

  get access_token(): string {
    return this.session.access_token;
  }

  /** Like `fetch`, with one more try after a refresh. */
  async send(request: Request): Promise<Response> {
    const again = request.clone();
    const answer = await this.fetch(request);
    if (answer.status !== 401 || request.url === this.refreshUrl || !(await hasExpired(answer))) return answer;
    const isNewAlready = request.headers.get('authorization') !== `Bearer ${this.access_token}`;
    if (!isNewAlready && !(await this.refresh())) return answer;
    again.headers.set('authorization', `Bearer ${this.access_token}`);
    return this.fetch(again);
  }

  /** A refresh token is good once: whoever comes meanwhile waits for the same answer. */
  private async refresh(): Promise<boolean> {
    this.refreshing ??= this.exchange();
    try {
      return await this.refreshing;
    } finally {
      this.refreshing = undefined;
    }
  }

  private async exchange(): Promise<boolean> {
    const answer = await this.fetch(
      new Request(this.refreshUrl, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ refresh_token: this.session.refresh_token }),
      }),
    );
    if (!answer.ok) return false;
    const { access_token, refresh_token } = (await answer.json()) as SignedIn;
    this.session = { access_token, refresh_token };
    await this.onSession?.(this.session);
    return true;
  }
}

async function hasExpired(answer: Response): Promise<boolean> {
  try {
    const { code } = (await answer.clone().json()) as { code?: string };
    return code === 'auth.token_expired';
  } catch {
    return false;
  }
}
