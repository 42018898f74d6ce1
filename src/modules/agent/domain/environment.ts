const MAX_VARIABLES = 100;
const MAX_NAME = 100;
/** One variable: a quarter of what Linux passes to a program in one text, room for a key or a small file. */
const MAX_VALUE_BYTES = 32 * 1024;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const REFERENCE = /\$\{(\w+)\}/g;

/** Variables that the server itself sets begin so. */
const OWN_PREFIX = 'KANDEV_';

/** What is wrong with an agent type's variables, in words that follow the name of their field. */
export function environmentProblem(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'must be an object of texts';
  const entries: [string, unknown][] = Object.entries(value);
  if (entries.length > MAX_VARIABLES) return `must have at most ${MAX_VARIABLES} variables`;
  for (const [name, text] of entries) {
    const problem = variableProblem(name, text);
    if (problem) return problem;
  }
  return undefined;
}

function variableProblem(name: string, text: unknown): string | undefined {
  const shown = JSON.stringify(name.slice(0, 50));
  if (!NAME.test(name)) return `must have names of letters, digits and "_", no digit first: ${shown} is none`;
  if (name.length > MAX_NAME) return `must have names of at most ${MAX_NAME} characters: ${shown}… is longer`;
  if (name.toUpperCase().startsWith(OWN_PREFIX))
    return `must not set ${name}: variables named ${OWN_PREFIX}… are the server's`;
  if (typeof text !== 'string') return `must have a text for ${name}`;
  if (Buffer.byteLength(text) > MAX_VALUE_BYTES) return `must have at most ${MAX_VALUE_BYTES} bytes for ${name}`;
  if (text.includes('\0') || !text.isWellFormed())
    return `must not have NUL or broken characters (lone surrogates) in ${name}`;
  return undefined;
}

/** Names of the host's variables that `${NAME}` in the values takes, each once, in alphabetical order. */
export function hostVariables(variables: Readonly<Record<string, string>>): string[] {
  const names = Object.values(variables).flatMap((text) =>
    Array.from(text.matchAll(REFERENCE), ([, name]) => name ?? ''),
  );
  return [...new Set(names)].toSorted();
}

/** The values with `${NAME}` replaced by what `valueOf` gives for it; whatever that throws. */
export function resolveVariables(
  variables: Readonly<Record<string, string>>,
  valueOf: (name: string) => string,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(variables).map(([name, text]) => [
      name,
      text.replaceAll(REFERENCE, (_, asked: string) => valueOf(asked)),
    ]),
  );
}

/** What people other than administrators may see: references to the host's variables, but no value. */
export function maskVariables(variables: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(variables).map(([name, text]) => [name, /^\$\{\w+\}$/.test(text) ? text : '***']),
  );
}
