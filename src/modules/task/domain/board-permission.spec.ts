import { describe, expect, it } from 'vitest';
import { SYSTEM, type Actor } from '../../../common/auth/actor.js';
import type { BoardRole } from './board.entity.js';
import { checkPermission } from './board-permission.js';

const MEMBER: Actor = { user_id: '00000000-0000-7000-8000-000000000001', role: 'member' };
const ADMIN: Actor = { ...MEMBER, role: 'admin' };

/** Who may what, written out. */
const MATRIX: [BoardRole | null, 'read' | 'write' | 'manage', string][] = [
  ['viewer', 'read', 'yes'],
  ['viewer', 'write', 'board.forbidden'],
  ['viewer', 'manage', 'board.forbidden'],
  ['editor', 'read', 'yes'],
  ['editor', 'write', 'yes'],
  ['editor', 'manage', 'board.forbidden'],
  ['owner', 'read', 'yes'],
  ['owner', 'write', 'yes'],
  ['owner', 'manage', 'yes'],
  [null, 'read', 'task.not_found'],
  [null, 'write', 'task.not_found'],
  [null, 'manage', 'task.not_found'],
];

describe('board permissions', () => {
  it.each(MATRIX)('%s × %s → %s', (role, permission, outcome) => {
    const check = () => checkPermission(MEMBER, role, permission, 'task');
    if (outcome === 'yes') expect(check).not.toThrow();
    else expect(check).toThrow(expect.objectContaining({ code: outcome }));
  });

  it.each([ADMIN, SYSTEM])('lets $role pass without any role on the board', (actor) => {
    expect(() => checkPermission(actor, null, 'manage', 'board')).not.toThrow();
  });
});
