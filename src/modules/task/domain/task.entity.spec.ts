import { beforeEach, describe, expect, it } from 'vitest';
import { DomainError } from '../../../common/errors/domain-error.js';
import { Task } from './task.entity.js';

const NOW = new Date('2026-11-22T12:00:00.000Z');
const LATER = new Date('2026-11-22T13:00:00.000Z');

describe('Task', () => {
  let task: Task;

  beforeEach(() => {
    task = Object.assign(new Task(), {
      state: 'TODO',
      assigned_agent_id: null,
      dispatched_run_id: null,
      settled_run_id: null,
      started_at: null,
      completed_at: null,
    });
  });

  it('remembers when work began and ended, and forgets it when it is reopened', () => {
    task.apply('move_to_in_progress', NOW);
    task.apply('move_to_blocked', LATER);
    task.apply('move_to_in_progress', LATER);
    expect(task).toMatchObject({ state: 'IN_PROGRESS', started_at: NOW, completed_at: null });
    task.apply('move_to_completed', LATER);
    expect(task).toMatchObject({ started_at: NOW, completed_at: LATER });
    task.apply('move_to_todo', LATER);
    expect(task).toMatchObject({ state: 'TODO', started_at: null, completed_at: null });
  });

  it('hears nothing more of the run before once it is reopened', () => {
    task.followRun('run', 'dispatched', 'agent', NOW);
    task.apply('move_to_cancelled', LATER);
    expect(task.settled_run_id).toBeNull();
    task.apply('move_to_todo', LATER);
    expect(task.settled_run_id).toBe('run');
    task.followRun('next run', 'failed', null, LATER); // one that never came as far as an agent
    task.apply('move_to_todo', LATER);
    expect(task.settled_run_id).toBe('next run');
  });

  it('refuses an illegal move with the allowed ones, and stays as it is', () => {
    const move = () => task.apply('move_to_completed', NOW);
    expect(move).toThrow(DomainError);
    expect(move).toThrow(
      expect.objectContaining({
        code: 'task.illegal_transition',
        details: { state: 'TODO', allowed: ['IN_PROGRESS'] },
      }),
    );
    expect(task.state).toBe('TODO');
  });

  it('is archived and taken out, once each, and lets nobody change it meanwhile', () => {
    task.archived_at = null;
    expect(task.setArchived(false, NOW)).toEqual({});
    expect(() => task.requireActive()).not.toThrow();
    expect(task.setArchived(true, NOW)).toEqual({ archived_at: { from: null, to: NOW } });
    expect(task.setArchived(true, LATER)).toEqual({});
    expect(() => task.requireActive()).toThrow(expect.objectContaining({ code: 'task.archived' }));
    expect(task.setArchived(false, LATER)).toEqual({ archived_at: { from: NOW, to: null } });
  });

  it('is younger after each touch, however fast they follow each other', () => {
    task.updated_at = NOW;
    task.touch(NOW);
    expect(task.updated_at.getTime()).toBe(NOW.getTime() + 1);
    task.touch(LATER);
    expect(task.updated_at).toEqual(LATER);
  });

  it('follows a run from dispatch to its end', () => {
    expect(task.followRun('run', 'dispatched', 'agent', NOW)).toEqual({
      state: { from: 'TODO', to: 'IN_PROGRESS' },
      assigned_agent_id: { from: null, to: 'agent' },
    });
    expect(task.settled_run_id).toBeNull();
    expect(task.followRun('run', 'dispatched', 'agent', LATER)).toEqual({});
    expect(task.followRun('run', 'dispatched', 'second agent', LATER)).toEqual({
      assigned_agent_id: { from: 'agent', to: 'second agent' },
    });
    expect(task.followRun('run', 'failed', null, LATER)).toEqual({ state: { from: 'IN_PROGRESS', to: 'FAILED' } });
    expect(task).toMatchObject({
      settled_run_id: 'run',
      assigned_agent_id: 'second agent',
      started_at: NOW,
      completed_at: LATER,
    });
  });
});
