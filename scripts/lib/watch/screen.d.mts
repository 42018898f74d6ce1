import type { Writable } from 'node:stream';

export class Screen {
  constructor(output: Writable & { columns?: number }, lastLine?: (columns: number) => string);
  print(lines: string[]): Promise<void>;
  touch(): void;
  close(): void;
}
