import { posix } from 'node:path';
import { fitsPattern } from './path-pattern.js';

export const DECISIONS = ['allow', 'deny', 'ask'] as const;
export type Decision = (typeof DECISIONS)[number];

/** What kinds of tools there are, as the Agent Client Protocol names them. */
export const TOOL_KINDS = [
  ...(['read', 'edit', 'delete', 'move', 'search', 'execute', 'think', 'fetch', 'switch_mode', 'other'] as const),
] as const;
export type ToolKind = (typeof TOOL_KINDS)[number];

/** One rule of a policy; the first that fits counts. */
export interface PolicyRule {
  decision: Decision;
  /** Kinds of tools it is about; all where it is left out. */
  tool_kinds?: ToolKind[] | undefined;
  /** Patterns of paths, seen from the workspace (`src/**`); any, or none, where it is left out. */
  paths?: string[] | undefined;
}

/** What the agent wants to do. */
export interface Wanted {
  tool_kind: string | null;
  /** As the agent says: from the root, or from the workspace. */
  paths: readonly string[];
  /** There are more paths than these, and nobody knows which. */
  paths_cut: boolean;
}

/** What a policy says, and which of whose rules it was. */
export interface Verdict {
  decision: Decision;
  scope: 'board' | 'agent_type' | null;
  /** From 1; null where no rule fits. */
  rule: number | null;
}

const ASK: Verdict = { decision: 'ask', scope: null, rule: null };
const STRICTEST: readonly Decision[] = ['deny', 'ask', 'allow'];

/**
 * Of both policies the stricter one counts; where only one has a rule that fits, that one. Without any: ask. A path
 * outside the workspace, which is that folder as the agent sees it, fits no pattern; to be allowed all paths have to fit, to be denied one is enough.
 * Where not all paths are known a rule that might fit by those that are missing makes it ask, and none allows a change.
 */
export function decide(
  wanted: Wanted,
  policies: { board: readonly PolicyRule[]; agent_type: readonly PolicyRule[] },
  workspace: string,
): Verdict {
  const verdicts = (['board', 'agent_type'] as const).flatMap((scope): Verdict[] => {
    const all = policies[scope].map((rule) => fits(rule, wanted, workspace));
    const sure = all.indexOf('yes');
    const first = all.findIndex((fit) => fit !== 'no');
    const rule = policies[scope][first];
    if (!rule) return [];
    if (first === sure) return [{ decision: rule.decision, scope, rule: first + 1 }];
    // Denied by this one or by that one: denied, if nothing in between may decide otherwise.
    const upTo = policies[scope].slice(0, sure + 1).filter((_, index) => all[index] !== 'no');
    const isDenied = sure !== -1 && upTo.every(({ decision }) => decision === 'deny');
    return [isDenied ? { decision: 'deny', scope, rule: sure + 1 } : { decision: 'ask', scope, rule: first + 1 }];
  });
  return (
    STRICTEST.map((decision) => verdicts.find((verdict) => verdict.decision === decision)).find(
      (verdict) => verdict !== undefined,
    ) ?? ASK
  );
}

/** Whether a rule is about it; `maybe` where only paths that are not known can say. */
function fits({ decision, tool_kinds, paths }: PolicyRule, wanted: Wanted, workspace: string): 'yes' | 'maybe' | 'no' {
  const kind = kindOf(wanted);
  if (tool_kinds && !(tool_kinds as string[]).includes(kind)) return 'no';
  const isUnknown = wanted.paths_cut;
  if (decision === 'allow' && isUnknown && (paths || CHANGES.includes(kind))) return 'no';
  if (!paths) return 'yes';
  const matches = (path: string): boolean => {
    const inside = seenFrom(workspace, path);
    return inside !== null && paths.some((pattern) => fitsPattern(pattern, inside));
  };
  if (decision === 'allow') return wanted.paths.length > 0 && wanted.paths.every(matches) ? 'yes' : 'no';
  if (wanted.paths.some(matches)) return 'yes';
  return isUnknown ? 'maybe' : 'no';
}

/** Kinds of tools that change files. */
const CHANGES: readonly string[] = ['edit', 'delete', 'move'];

/** A kind that the protocol does not know is another one. */
function kindOf({ tool_kind }: Wanted): string {
  return (TOOL_KINDS as readonly (string | null)[]).includes(tool_kind) ? (tool_kind ?? 'other') : 'other';
}

/** `src/a.ts`; null for what lies outside. Links are not looked at: the agent's container is what confines it. */
function seenFrom(workspace: string, path: string): string | null {
  const inside = posix.relative(workspace, posix.resolve(workspace, path));
  return inside === '..' || inside.startsWith('../') ? null : inside;
}
