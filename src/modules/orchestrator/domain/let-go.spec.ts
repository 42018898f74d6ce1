import { describe, expect, it } from 'vitest';
import { letGo, type Candidate } from './let-go.js';

const run = (id: string, facts: Partial<Candidate> = {}): Candidate => ({
  ...{ id, waits_for_tasks: true, has_open: false, wants_place: true, parked: false, passed_by: false },
  ...facts,
});
const free = (runs: Candidate[], places: number) => {
  const { waits } = letGo(runs, places);
  return runs.filter(({ id }) => waits.get(id) === false).map(({ id }) => id);
};

describe('who is let go', () => {
  const five = ['a', 'b', 'c', 'd', 'e'].map((id) => run(id));

  it('are as many as there are places, the first of the queue', () => {
    expect([0, 1, 3, 9].map((places) => free(five, places))).toEqual([
      [],
      ['a'],
      ['a', 'b', 'c'],
      ['a', 'b', 'c', 'd', 'e'],
    ]);
    expect(letGo(five, 3).free).toBe(0);
    expect(free(five, -2)).toEqual([]); // more are there than may be
  });

  it('are those of before, whoever is looked at again', () => {
    const marked = five.map((each) => ({ ...each, waits_for_tasks: letGo(five, 2).waits.get(each.id) ?? true }));
    expect(free(marked, 2)).toEqual(['a', 'b']);
  });

  it('is who needs no place', () => {
    expect(free([run('a'), run('b', { wants_place: false }), run('c')], 0)).toEqual(['b']);
  });

  it('is nobody whose dependencies are open, whatever room there is; the place goes to the next', () => {
    const runs = [run('a', { has_open: true }), run('b', { has_open: true, wants_place: false }), run('c'), run('d')];
    expect(free(runs, 1)).toEqual(['c']);
  });

  it('is the next as well, where the first can not come', () => {
    expect(free([run('a', { parked: true }), run('b'), run('c')], 1)).toEqual(['a', 'b']);
    expect(free([run('a', { passed_by: true }), run('b'), run('c')], 1)).toEqual(['a', 'b']);
    expect(free([run('a', { passed_by: true }), run('b')], 0)).toEqual([]);
  });
});
