import { describe, expect, it } from 'vitest';
import { decide as decideIn, type PolicyRule, type Wanted } from './permission-policy.js';

type Some = Pick<Wanted, 'tool_kind' | 'paths'> & Partial<Wanted>;
const decide = (wanted: Some, policies: Parameters<typeof decideIn>[1]) =>
  decideIn({ paths_cut: false, ...wanted }, policies, '/workspace');

const edit = (...paths: string[]) => ({ tool_kind: 'edit', paths });
const rules = (...list: PolicyRule[]) => list;
const decisionOf = (wanted: Some, agent_type: PolicyRule[], board: PolicyRule[] = []) =>
  decide(wanted, { agent_type, board }).decision;

describe('a policy', () => {
  const src = rules({ decision: 'allow', tool_kinds: ['edit'], paths: ['src/**'] });

  it('asks where no rule fits', () => {
    expect(decide(edit('src/a.ts'), { agent_type: [], board: [] })).toEqual({
      decision: 'ask',
      scope: null,
      rule: null,
    });
    expect(decisionOf({ tool_kind: 'execute', paths: [] }, src)).toBe('ask');
    expect(decisionOf(edit(), src)).toBe('ask'); // which files, nobody knows
  });

  it('allows by kind and path, wherever the agent counts paths from', () => {
    expect(decisionOf(edit('src/a.ts'), src)).toBe('allow');
    expect(decisionOf(edit('/workspace/src/.hidden/a.ts'), src)).toBe('allow');
    expect(decisionOf(edit('/workspace/lib/a.ts'), src)).toBe('ask');
  });

  it.each(['src/../../etc/passwd', '/etc/src/a.ts', '/workspace/src/../lib/a.ts', '..'])(
    'is not led out of its paths by %s',
    (path) => {
      expect(decisionOf(edit(path), src)).toBe('ask');
    },
  );

  it('allows only what is allowed in all its paths, and denies what is denied in one', () => {
    expect(decisionOf(edit('src/a.ts', 'lib/b.ts'), src)).toBe('ask');
    expect(decisionOf(edit('lib/a.ts', '.git/config'), rules({ decision: 'deny', paths: ['.git/**'] }))).toBe('deny');
  });

  it('goes by the first rule that fits', () => {
    const both = rules({ decision: 'deny', paths: ['src/secret/**'] }, { decision: 'allow', paths: ['src/**'] });
    expect(decide(edit('src/secret/a'), { agent_type: both, board: [] })).toEqual({
      decision: 'deny',
      scope: 'agent_type',
      rule: 1,
    });
    expect(decide(edit('src/a'), { agent_type: both, board: [] }).rule).toBe(2);
  });

  it('is the stricter one of board and agent type', () => {
    const all = (decision: PolicyRule['decision']) => rules({ decision });
    expect(decisionOf(edit('a'), all('allow'), all('deny'))).toBe('deny');
    expect(decisionOf(edit('a'), all('deny'), all('allow'))).toBe('deny');
    expect(decisionOf(edit('a'), all('allow'), all('ask'))).toBe('ask');
    expect(decide(edit('a'), { agent_type: all('allow'), board: [] })).toMatchObject({ scope: 'agent_type' });
  });

  it('takes no time to speak of, whatever the pattern', () => {
    const slow = rules({ decision: 'allow', paths: [`${'*a'.repeat(90)}b`, `${'**/a/'.repeat(30)}b`] });
    const began = performance.now();
    expect(decisionOf(edit('a'.repeat(255), 'a/'.repeat(2000)), slow)).toBe('ask');
    expect(performance.now() - began).toBeLessThan(1_000);
  });

  it('takes a tool of no kind for one of another kind', () => {
    const wanted = { tool_kind: null, paths: [] };
    expect(decisionOf(wanted, rules({ decision: 'allow', tool_kinds: ['other'] }))).toBe('allow');
    expect(decisionOf(wanted, rules({ decision: 'allow', tool_kinds: ['read'] }))).toBe('ask');
  });

  describe('where not all paths are known', () => {
    const some = (tool_kind: string, ...paths: string[]) => ({ tool_kind, paths, paths_cut: true });
    const all = rules({ decision: 'allow' });

    it.each(['edit', 'delete', 'move'])('allows no %s, by path or without', (kind) => {
      const inSrc = rules({ decision: 'allow', paths: ['src/**'] });
      expect(decisionOf(some(kind, 'src/a.ts'), inSrc)).toBe('ask');
      expect(decisionOf(some(kind, 'src/a.ts'), all, inSrc)).toBe('ask');
    });

    it('allows what changes nothing by its kind, not by its paths', () => {
      expect(decisionOf(some('read', 'src/a.ts'), rules({ decision: 'allow', tool_kinds: ['read'] }))).toBe('allow');
      expect(decisionOf(some('read', 'src/a.ts'), rules({ decision: 'allow', paths: ['src/**'] }))).toBe('ask');
    });

    it('denies what a known path is denied for, and asks where an unknown one may be', () => {
      const deny = { decision: 'deny' as const, paths: ['.git/**'] };
      expect(decisionOf(some('edit', 'src/a.ts', '.git/config'), rules(deny))).toBe('deny');
      expect(decide(some('read', 'src/a.ts'), { board: rules(deny), agent_type: all })).toEqual({
        ...{ decision: 'ask', scope: 'board', rule: 1 },
      });
      expect(decisionOf(some('read'), [deny, ...all])).toBe('ask');
      expect(decisionOf(some('read'), [{ ...deny, tool_kinds: ['edit'] }, ...all])).toBe('allow');
      expect(decisionOf(some('edit'), rules({ decision: 'deny' }))).toBe('deny');
      const secret = { decision: 'deny' as const, paths: ['secret/**'] };
      expect(decisionOf(some('edit', 'secret/a'), rules(deny, secret))).toBe('deny'); // by one or the other
      expect(decisionOf(some('edit', 'secret/a'), rules({ ...deny, decision: 'ask' }, secret))).toBe('ask');
      expect(decisionOf(some('edit', 'a'), rules({ ...deny, decision: 'ask' }, ...all))).toBe('ask');
    });
  });
});
