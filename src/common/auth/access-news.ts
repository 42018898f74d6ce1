import { Injectable } from '@nestjs/common';

/**
 * Passes on, within this process, that somebody sees less than before, or more: a membership or a board is no more, or
 * a membership is new. Listeners are called at once: whoever tells after the commit has everybody told before the
 * answer goes out. Other processes are told by PostgreSQL, and look again by themselves.
 */
@Injectable()
export class AccessNews {
  private readonly listeners: ((userId: string) => void)[] = [];
  private readonly beginListeners: ((userId: string, boardId: string) => void)[] = [];
  private readonly boardListeners: (() => void)[] = [];

  /** Calls back with the user's id. Must not throw. */
  onMembershipEnded(listener: (userId: string) => void): void {
    this.listeners.push(listener);
  }

  /** Calls back with the ids of the user and of the board. Must not throw. */
  onMembershipBegan(listener: (userId: string, boardId: string) => void): void {
    this.beginListeners.push(listener);
  }

  /** Calls back when a board was deleted. Must not throw. */
  onBoardDeleted(listener: () => void): void {
    this.boardListeners.push(listener);
  }

  /** To be called after the commit. */
  membershipEnded(userId: string): void {
    for (const listener of this.listeners) listener(userId);
  }

  /** To be called after the commit. */
  membershipBegan(userId: string, boardId: string): void {
    for (const listener of this.beginListeners) listener(userId, boardId);
  }

  /** To be called after the commit. */
  boardDeleted(): void {
    for (const listener of this.boardListeners) listener();
  }
}
