export interface Shown {
  progress: number | null;
  operation: string | null;
}

interface Message {
  type: string;
  data: unknown;
}

interface Status {
  run_state: string | null;
  estimated_completion: string | null;
  progress: number | null;
  current_operation: string | null;
}

export function isServers(message: Pick<Message, 'data'>): boolean;
export function follow(now: Shown, message: Message): void;
export function view(
  status: Status,
  now: Shown,
): Shown & { run_state: string | null; estimated_completion: string | null };
