import { describe, expect, it } from 'vitest';
import { dependenciesOpen, dependencyCycle, shortestPath, type Edge } from './task-dependencies.js';

const edges = (...pairs: string[]): Edge[] =>
  pairs.map((pair) => ({ task_id: pair.charAt(0), depends_on_id: pair.charAt(1) }));

describe('shortestPath', () => {
  it.each([
    [[], ['a'], 'a', ['a']],
    [[], ['a'], 'b', undefined],
    [['ab', 'bc'], ['a'], 'c', ['a', 'b', 'c']],
    [['ab', 'bc'], ['c'], 'a', undefined],
    [['ab', 'bc', 'cd', 'xd'], ['a', 'x'], 'd', ['x', 'd']],
    [['ab', 'ba', 'bc'], ['a'], 'c', ['a', 'b', 'c']],
    [['ab', 'ba'], ['a'], 'd', undefined],
  ] as const)('%j from %j to %s: %j', (pairs, starts, end, path) => {
    expect(shortestPath(edges(...pairs), starts, end)).toEqual(path);
  });

  it('does not take long where there are very many ways', () => {
    const letters = Array.from('abcdefghijklmnopqrstuvwxyz');
    const all = letters.flatMap((from, index) => letters.slice(index + 1).map((to) => from + to));
    expect(shortestPath(edges(...all), ['a'], 'z')).toEqual(['a', 'z']);
    expect(shortestPath(edges(...all), ['b'], 'a')).toBeUndefined();
  });
});

describe('refusals', () => {
  it('name the tasks of a cycle', () => {
    const path = ['a', 'b', 'a'].map((id) => ({ id, title: `Task ${id}` }));
    expect(dependencyCycle(path)).toMatchObject({
      ...{ kind: 'conflict', code: 'task.dependency_cycle', details: { path: ['a', 'b', 'a'] } },
      message: expect.stringContaining('“Task a” → “Task b” → “Task a”') as string,
    });
  });

  it('stay short, whatever the tasks are called', () => {
    const path = Array.from({ length: 100 }, (_, n) => ({ id: `${n}`, title: `${n} ${'🐎'.repeat(498)}` }));
    const { message, details } = dependencyCycle(path);
    expect(message.length).toBeLessThan(2000);
    expect(message).toContain('“99 🐎');
    expect(message.isWellFormed()).toBe(true);
    expect(details['path']).toHaveLength(100);
  });

  it('name what a task waits for', () => {
    const open = [{ task_id: 'a', depends_on_id: 'b', title: 'First', state: 'TODO' as const }];
    expect(dependenciesOpen(open)).toMatchObject({
      ...{ kind: 'conflict', code: 'task.dependencies_open' },
      details: { waiting_for: [{ task_id: 'b', title: 'First', state: 'TODO' }] },
    });
  });
});
