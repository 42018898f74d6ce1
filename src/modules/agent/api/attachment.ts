/**
 * A `Content-Disposition` that makes browsers save, never show. The name comes from an agent: the plain form keeps
 * only harmless ASCII, the extended form (RFC 8187) is percent-encoded.
 */
export function attachment(name: string): string {
  const plain = name.replaceAll(/[^\w.-]/g, '_');
  const extended = encodeURIComponent(name).replaceAll(
    /['()*!]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${plain}"; filename*=UTF-8''${extended}`;
}
