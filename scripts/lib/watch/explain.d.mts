export function explain(error: Error, about: { url: string; task_id: string }): string;
