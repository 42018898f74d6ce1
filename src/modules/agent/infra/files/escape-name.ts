const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A name as text: as it is where it is UTF-8, else with each byte that is no printable ASCII as `\xff`. */
export function escapeName(name: Buffer): string {
  try {
    return utf8.decode(name);
  } catch {
    return Array.from(name, escapeByte).join('');
  }
}

function escapeByte(byte: number): string {
  const printable = byte >= 0x20 && byte < 0x7f;
  return printable ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`;
}
