import { LOG_LEVELS, type MessageDraft } from '../../../common/acp/acp-message.js';
import { formsOf, partsOf } from './secret-forms.js';
import { SecretIndex, type Span } from './secret-index.js';

/** What stands where a secret stood. */
export const REDACTED = '[redacted]';
const MARK = Buffer.from(REDACTED);
const INSIDE = { start: false, end: false };
const WHOLE = { start: true, end: true };
const RESULTS = ['completed', 'failed'];

/**
 * Takes the secrets of one attempt out of what it says. Found are a secret as it is and its usual encodings
 * ({@link formsOf}), anywhere in a text; and at the edges of a text a piece of eight characters or more, because the
 * rest may stand in the line before or after. What an agent hides on purpose (reversed, encrypted, letter by letter) is
 * not found: it holds the secret and can always do that.
 */
export class Redactor {
  /** Has nothing to look for and costs nothing. */
  static readonly none = new Redactor([]);
  private static readonly made = new WeakMap<readonly string[], Redactor>();
  private readonly index: SecretIndex | undefined;

  private constructor(secrets: readonly string[]) {
    const forms = new Set(secrets.flatMap(partsOf).flatMap(formsOf));
    if (forms.size > 0) this.index = new SecretIndex(Array.from(forms, (form) => Buffer.from(form, 'latin1')));
  }

  /** The redactor of these secrets; for the same array the same one. */
  static of(secrets: readonly string[]): Redactor {
    if (secrets.length === 0) return Redactor.none;
    const redactor = this.made.get(secrets) ?? new Redactor(secrets);
    this.made.set(secrets, redactor);
    return redactor;
  }

  /** Whether it has anything to look for. */
  get active(): boolean {
    return this.index !== undefined;
  }

  /** Bytes of the longest text that it looks for: so much before and after a cut has to be seen. */
  get reach(): number {
    return this.index?.longest ?? 0;
  }

  /** A quick look; false: there is nothing to take out of these bytes. */
  suspects(bytes: Uint8Array): boolean {
    return this.index?.suspects(bytes) ?? false;
  }

  /** A text without the secrets. */
  text(text: string): string {
    return this.clean(text, true);
  }

  /** A line of a log, which is whole in itself. */
  line(text: string): string {
    return this.clean(text, false);
  }

  /** A copy of a JSON value without the secrets, in its keys too; the value itself where there are none. */
  value<T>(value: T): T {
    if (!this.active || !this.suspects(Buffer.from(JSON.stringify(value) ?? ''))) return value;
    return this.walk(value) as T;
  }

  /** A message without the secrets, flagged `metadata.redacted` where there were some. */
  message(draft: MessageDraft): MessageDraft {
    const data = this.value(draft.data);
    if (data === draft.data || JSON.stringify(data) === JSON.stringify(draft.data)) return draft;
    const { metadata } = data;
    const known = typeof metadata === 'object' && metadata !== null && !Array.isArray(metadata) ? metadata : {};
    return { ...draft, data: { ...data, ...words(draft), metadata: { ...known, redacted: true } } };
  }

  /** Those bytes of a long line, of which `before` and `after` are what stands around them. */
  piece(before: Buffer, bytes: Buffer, after: Buffer, edges: { start: boolean; end: boolean }): Buffer {
    const all = Buffer.concat([before, bytes, after]);
    if (!this.index?.suspects(all)) return bytes;
    const [from, to] = [before.length, before.length + bytes.length];
    const inside = this.index.spans(all, edges).flatMap(([a, b]): Span[] => {
      return b <= from || a >= to ? [] : [[Math.max(a, from) - from, Math.min(b, to) - from]];
    });
    return replaced(bytes, inside);
  }

  /** Where secrets stand in bytes that are a part of something: whole ones only. */
  spans(bytes: Buffer): Span[] {
    return this.index?.suspects(bytes) ? this.index.spans(bytes, INSIDE) : [];
  }

  /** From where on bytes may be the beginning of a secret that goes on behind them; their length where they are not. */
  tornFrom(bytes: Buffer): number {
    return this.index?.tornFrom(bytes) ?? bytes.length;
  }

  private walk(value: unknown): unknown {
    if (typeof value === 'string') return this.clean(value, true);
    if (Array.isArray(value)) return value.map((item) => this.walk(item));
    if (typeof value !== 'object' || value === null) return value;
    const names = new Set<string>();
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [unused(this.clean(key, false), names), this.walk(item)]),
    );
  }

  private clean(text: string, torn: boolean): string {
    if (!this.index) return text;
    const bytes = Buffer.from(text);
    if (!this.index.suspects(bytes)) return text;
    const from = text.length - text.trimStart().length;
    const trimmed = Buffer.from(text.trim());
    // White space at the edges is of one byte or more; counted in bytes.
    const lead = Buffer.byteLength(text.slice(0, from));
    const spans = this.index.spans(trimmed, torn ? WHOLE : INSIDE).map(([a, b]): Span => [a + lead, b + lead]);
    return spans.length === 0 ? text : replaced(bytes, spans).toString();
  }
}

/** Words of the envelope that mean something to us, whatever the secrets are. */
function words({ type, data }: MessageDraft): Record<string, unknown> {
  const { status, level } = data;
  if (type === 'result' && RESULTS.includes(status as string)) return { status };
  return type === 'log' && (LOG_LEVELS as readonly unknown[]).includes(level) ? { level } : {};
}

function unused(name: string, names: Set<string>): string {
  let free = name;
  for (let n = 2; names.has(free); n++) free = `${name} ${n}`;
  names.add(free);
  return free;
}

function replaced(bytes: Buffer, spans: readonly Span[]): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  for (const [from, to] of spans) {
    parts.push(bytes.subarray(at, from), MARK);
    at = to;
  }
  return Buffer.concat([...parts, bytes.subarray(at)]);
}
