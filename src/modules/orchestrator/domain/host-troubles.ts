/** What is known of a host's disk. */
export interface DiskState {
  under_pressure: boolean;
  free_bytes: number;
  min_free_bytes: number;
}

/** What is known of its engine. */
export interface EngineState {
  available: boolean;
  not_enforced: readonly { what: string; why: string }[];
}

/** What does not work on a host as it should, in sentences; empty when all is well. Null: nobody has looked yet. */
export function hostTroubles(engine: EngineState | null, disk: DiskState): string[] {
  return [
    ...(disk.under_pressure ? [nearlyFull(disk)] : []),
    ...(engine?.available === false ? ['The container engine does not answer: only agents without one can run.'] : []),
    ...(engine?.not_enforced ?? []).map(({ what, why }) => `Not held on this host: ${what}. ${why}`),
  ];
}

const DISK_IS_FULL = 'The disk is nearly full';

/** Whether the sentence is the one that tells of a full disk: nothing is dispatched there. */
export function isDiskTrouble(sentence: string): boolean {
  return sentence.startsWith(DISK_IS_FULL);
}

function nearlyFull({ free_bytes, min_free_bytes }: DiskState): string {
  return `${DISK_IS_FULL}, and no run is dispatched: ${free_bytes} bytes are free, and it has to be ${min_free_bytes} (KANDEV_MIN_FREE_DISK_BYTES).`;
}
