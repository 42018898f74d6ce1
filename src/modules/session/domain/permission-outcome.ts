import type { PermissionOption, PermissionOutcome } from './permission-request.entity.js';

/** What an option means: the agent says it by its kind. */
export function outcomeOf({ kind }: Pick<PermissionOption, 'kind'>): PermissionOutcome {
  return kind.startsWith('allow') ? 'allowed' : 'denied';
}

/** The option by which something is allowed, or denied, this once; what holds for longer only where there is no other. */
export function optionFor(
  outcome: 'allowed' | 'denied',
  options: readonly PermissionOption[],
): PermissionOption | undefined {
  const verb = outcome === 'allowed' ? 'allow' : 'reject';
  return [`${verb}_once`, `${verb}_always`].map((kind) => options.find((option) => option.kind === kind)).find(Boolean);
}
