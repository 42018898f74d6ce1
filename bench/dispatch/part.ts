import type { Build } from '../lib/build.js';

/** What the command line says to every part; what is undefined is the part's own choice. */
export interface DispatchOptions {
  /** What is measured. Each part opens a `World` of its own and closes it. */
  build: Build;
  /** Of each comparison, in turn; the medians count. */
  rounds?: number;
  /** Length of what is measured by time. */
  seconds?: number;
  /** How many of what the part is about. */
  size?: number;
  /** Rows of the long history (claims): finished runs. A tenth as many are queued. */
  history?: number;
}

/** What one part found. */
export interface DispatchResult {
  title: string;
  /** Rows of a table; the keys of the first are its columns. Numbers are shown with three digits that count. */
  rows: Record<string, string | number>[];
  /** What the table can't say, in Markdown, below it. */
  notes?: string;
  /** Every aim was met. */
  met: boolean;
}

export type DispatchPart = (options: DispatchOptions) => Promise<DispatchResult>;
