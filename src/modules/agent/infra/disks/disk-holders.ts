/** Who holds which task's disk: agents from their preparation to their removal, and others that prepare one. */
export class DiskHolders {
  private readonly owners = new Map<string, Set<string>>();

  add(taskId: string, owner: string): void {
    const owners = this.owners.get(taskId) ?? new Set();
    this.owners.set(taskId, owners.add(owner));
  }

  /** Again, or of one that never held it: nothing. */
  delete(taskId: string, owner: string): void {
    const owners = this.owners.get(taskId);
    owners?.delete(owner);
    if (owners?.size === 0) this.owners.delete(taskId);
  }

  has(taskId: string): boolean {
    return this.owners.has(taskId);
  }
}
