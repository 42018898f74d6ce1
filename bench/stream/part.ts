import type { Build } from '../lib/build.js';

/** What the command line says to every part; what is undefined is the part's own choice. */
export interface StreamOptions {
  /** What is measured. Each part opens a `World` of its own and closes it. */
  build: Build;
  /** Of each comparison, in turn; the medians count. */
  rounds?: number;
  /** Length of one round of load. */
  seconds?: number;
  /** How many of what the part is about: lines (ingest), lines a second (latency), subscribers (fan-out, stalled), messages (catch-up). */
  size?: number;
  /** Where to write processor profiles of the server; nowhere when undefined. */
  profiles?: string;
}

/** What one part found. */
export interface StreamResult {
  title: string;
  /** Rows of a table; the keys of the first are its columns. Numbers are shown with three digits that count. */
  rows: Record<string, string | number>[];
  /** What the table can't say, in Markdown, below it. */
  notes?: string;
  /** Every aim was met. */
  met: boolean;
}

export type StreamPart = (options: StreamOptions) => Promise<StreamResult>;
