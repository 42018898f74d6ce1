import { describe, expect, it } from 'vitest';
import { assignChanges } from './changes.js';

describe('assignChanges', () => {
  it('takes over what is given and tells what became different', () => {
    const target = { title: 'old', branch: 'main' as string | null, priority: 3, metadata: { a: [1, { b: 2 }], c: 3 } };
    const changes = assignChanges<Partial<typeof target>>(target, {
      title: 'new',
      branch: null,
      priority: undefined,
      metadata: { c: 3, a: [1, { b: 2 }] },
    });
    expect(changes).toEqual({ title: { from: 'old', to: 'new' }, branch: { from: 'main', to: null } });
    expect(target).toEqual({ title: 'new', branch: null, priority: 3, metadata: { a: [1, { b: 2 }], c: 3 } });
  });
});
