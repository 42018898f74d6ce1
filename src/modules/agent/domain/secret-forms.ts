/** Shorter values are words that stand in any text; taking those out would hide nothing and spoil much. */
export const MIN_SECRET_LENGTH = 6;
/** Of a multi-line secret: a shorter line is punctuation. */
const MIN_LINE_LENGTH = 16;

/**
 * The ways in which a secret is commonly written: as it is, in JSON (also JSON within JSON), in a URL, in hex, and in
 * base64 wherever it stands in what was encoded. Each is a text of bytes (latin1 of its UTF-8); none stands twice.
 */
export function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  const forms = [secret, ...jsonForms(secret), ...urlForms(secret)].map((text) => Buffer.from(text).toString('latin1'));
  const hex = bytes.toString('hex');
  forms.push(hex, hex.toUpperCase());
  for (const shift of [0, 1, 2]) {
    const inner = base64Inside(bytes, shift);
    forms.push(inner, inner.replaceAll('+', '-').replaceAll('/', '_'));
  }
  return [...new Set(forms)];
}

/**
 * What of a value has to be looked for: the value, the lines of one of several lines (a key is often printed line by
 * line), and the texts in one that is JSON (tokens wrapped with their addresses).
 */
export function partsOf(value: string): string[] {
  const whole = value.trim();
  const lines = whole.split(/\r?\n/).map((line) => line.trim());
  // The frame of a key is no secret, and keys are often kept without it.
  const body = lines.filter((line) => !/^-----(BEGIN|END) [A-Z0-9 ]+-----$/.test(line));
  const parts = [body.length < lines.length ? body.join('\n') : whole];
  if (body.length > 1) parts.push(...body.filter((line) => line.length >= MIN_LINE_LENGTH));
  parts.push(...jsonTexts(whole));
  return [...new Set(parts)].filter((part) => part.length >= MIN_SECRET_LENGTH);
}

function jsonTexts(value: string): string[] {
  if (!value.startsWith('{') && !value.startsWith('[')) return [];
  try {
    return leaves(JSON.parse(value)).filter((text) => text.length >= MIN_LINE_LENGTH && !/^https?:\/\//.test(text));
  } catch {
    return [];
  }
}

function leaves(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(leaves) : [];
}

function jsonForms(text: string): string[] {
  const once = JSON.stringify(text).slice(1, -1);
  const ascii = once.replaceAll(/[^\0-\x7f]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return [once, ascii, once.replaceAll('/', '\\/'), JSON.stringify(once).slice(1, -1)];
}

/** Encoders differ in what they leave as it is: `/`, and `!'()*`; some write a space as `+`, some hex in small letters. */
function urlForms(text: string): string[] {
  const plain = encodeURIComponent(text.toWellFormed());
  const strict = plain.replaceAll(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
  const upper = [plain, strict, strict.replaceAll('%2F', '/'), strict.replaceAll('%20', '+')];
  return [...upper, ...upper.map((form) => form.replaceAll(/%[\dA-F]{2}/g, (code) => code.toLowerCase()))];
}

/** The characters that nothing but these bytes decides, where `shift` bytes stand before them modulo three. */
function base64Inside(bytes: Buffer, shift: number): string {
  const encoded = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64');
  return encoded.slice(Math.ceil((shift * 8) / 6), Math.floor(((shift + bytes.length) * 8) / 6));
}
