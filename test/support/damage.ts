/** What may have happened to lines on their way; nothing has when all are 0. */
export interface Damage {
  lost: number;
  doubled: number;
  reordered: number;
  /** A line that is there, but not as it was written. */
  torn: number;
  /** Something that nobody wrote here. */
  unexpected: number;
}

export const NO_DAMAGE: Readonly<Damage> = { lost: 0, doubled: 0, reordered: 0, torn: 0, unexpected: 0 };
const KINDS = Object.keys(NO_DAMAGE) as (keyof Damage)[];
/** How much of each, together. */
export function sumOf(damages: readonly Damage[]): Damage {
  const sum = { ...NO_DAMAGE };
  for (const damage of damages) for (const kind of KINDS) sum[kind] += damage[kind];
  return sum;
}

export function isClean(damage: Damage): boolean {
  return KINDS.every((kind) => damage[kind] === 0);
}
