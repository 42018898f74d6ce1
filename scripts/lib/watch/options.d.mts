/** What a command line says. */
export type WatchOptions =
  | { help: true }
  | {
      help: false;
      task_id: string;
      url: string;
      after: number;
      types: string[] | undefined;
      min_level: string | undefined;
      speed: number | undefined;
      follow: boolean;
      json: boolean;
      color: boolean;
      token_file: string | undefined;
    };

export const HELP: string;
export class UsageError extends Error {}
export function readOptions(args: string[]): WatchOptions;
