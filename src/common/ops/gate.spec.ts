import { expect, it, vi } from 'vitest';
import { Gate } from './gate.js';

/** Work that goes on until it is told to end. */
function works(gate: Gate, count: number) {
  const ends: (() => void)[] = [];
  const done: number[] = [];
  const all = Array.from({ length: count }, (_, n) =>
    gate.run(() => new Promise<void>((resolve) => ends.push(resolve))).then(() => void done.push(n)),
  );
  return { ends, done, all };
}

it('lets so many in at once, and the others in order', async () => {
  const { ends, done, all } = works(new Gate(2), 5);
  for (let n = 0; n < 5; n++) {
    await vi.waitFor(() => expect(ends).toHaveLength(Math.min(5, n + 2)));
    ends[n]!();
  }
  await Promise.all(all);
  expect(done).toEqual([0, 1, 2, 3, 4]);
});

it('goes on after work that fails', async () => {
  const gate = new Gate(1);
  const failing = gate.run(() => Promise.reject(new Error('it broke')));
  const next = gate.run(() => Promise.resolve('fine'));
  await expect(failing).rejects.toThrow('it broke');
  expect(await next).toBe('fine');
});

it('sends away who finds too many waiting, and who has waited for too long', async () => {
  const gate = new Gate(1, { waiting: 2, waitMs: 30, refusal: () => new Error('busy') });
  const { ends, all } = works(gate, 4);
  for (const refused of all.slice(1)) refused.catch(() => undefined);
  await expect(all[3]).rejects.toThrow('busy');
  await Promise.all(all.slice(1).map((refused) => expect(refused).rejects.toThrow('busy')));
  expect(ends).toHaveLength(1);
  ends[0]!();
  await all[0];
  expect(await gate.run(() => Promise.resolve('room again'))).toBe('room again');
});
