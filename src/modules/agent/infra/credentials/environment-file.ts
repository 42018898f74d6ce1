import type { CredentialFolder } from './private-file.js';

const MAX_BYTES = 256 * 1024; // eight values of the largest size that a variable may have
const LINE = /^(?:export\s+)?([A-Za-z_]\w*)=(.*)$/;

/** A user's own variables: lines `NAME=value` of the file `env`. Empty where there is no such file, or none to be used. */
export async function environmentFile(folder: CredentialFolder): Promise<Map<string, string>> {
  const content = await folder.read('env', { maxBytes: MAX_BYTES, secret: true });
  const variables = new Map<string, string>();
  for (const line of content?.toString().split(/\r?\n/) ?? []) {
    const [, name, value = ''] = LINE.exec(line.trim()) ?? [];
    if (name !== undefined) variables.set(name, unquoted(value));
  }
  return variables;
}

function unquoted(value: string): string {
  const [, inner] = /^"(.*)"$/.exec(value) ?? /^'(.*)'$/.exec(value) ?? [];
  return inner ?? value;
}
