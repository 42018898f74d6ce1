import { describe, expect, it } from 'vitest';
import { Column } from './column.js';

describe('a column', () => {
  it('takes as many as it may, and says what to do then', () => {
    const column = new Column('IN_PROGRESS', 3, 1);
    column.enter('force');
    column.enter('force');
    expect(() => column.enter('force')).toThrow(
      expect.objectContaining({
        kind: 'conflict',
        code: 'board.wip_limit',
        message:
          'IN_PROGRESS is full on this board: limit 3, tasks 3. Move one of them on or archive one, or have an owner raise the limit, or use force.',
        details: { state: 'IN_PROGRESS', max_tasks: 3, tasks: 3 },
      }),
    );
    expect(() => column.enter('room')).toThrow(/raise the limit\.$/);
  });

  it('takes more by force, and tells how full it was', () => {
    const column = new Column('BLOCKED', 1, 0);
    expect(column.enterByForce()).toBeNull();
    expect(column.enterByForce()).toEqual({ max_tasks: 1, tasks: 1 });
    expect(column.enterByForce()).toEqual({ max_tasks: 1, tasks: 2 });
  });

  it('without a limit takes any number; one of 0 takes none', () => {
    const open = new Column('COMPLETED', null, 1_000_000);
    open.enter('force');
    expect(open.enterByForce()).toBeNull();
    expect(new Column('TODO', 0, 0).isFull).toBe(true);
  });
});
