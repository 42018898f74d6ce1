export interface RestOptions {
  /** Of each comparison; the medians count. */
  rounds: number;
  /** Tasks of the large board. */
  tasks: number;
  /** Of the soak. */
  minutes: number;
  /** Where to write the profiles of the server; nowhere when undefined. */
  profiles: string | undefined;
}

/** What one part found. */
export interface PartResult {
  title: string;
  /** Markdown. */
  text: string;
  /** Every aim was met. */
  passed: boolean;
  /** The single figures, for `--json`. */
  data: object;
}
