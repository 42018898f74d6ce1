import { expect, it } from 'vitest';
import { attachment } from './attachment.js';

it.each([
  ['report.md', `attachment; filename="report.md"; filename*=UTF-8''report.md`],
  ['a"b\r\nSet-Cookie: x', `attachment; filename="a_b__Set-Cookie__x"; filename*=UTF-8''a%22b%0D%0ASet-Cookie%3A%20x`],
  ['Bericht ü.md', `attachment; filename="Bericht__.md"; filename*=UTF-8''Bericht%20%C3%BC.md`],
  ["it's (1)*", `attachment; filename="it_s__1__"; filename*=UTF-8''it%27s%20%281%29%2A`],
])('%j is a harmless header', (name, header) => expect(attachment(name)).toBe(header));
