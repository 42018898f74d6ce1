import type { KandevApi } from '../../../clients/typescript/src/index.js';

export class RunWatch {
  constructor(kandev: Pick<KandevApi, 'getRunStatus'>, taskId: string, onChange: (ended: boolean) => void);
  begin(): Promise<void>;
  get over(): boolean;
  heard(message: { type: string; agent_id: string; data: unknown }): void;
  opened(): void;
  busy(): void;
  stop(): void;
}
