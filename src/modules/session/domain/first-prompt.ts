/** What a prompt can be made of. */
export interface PromptTask {
  title: string;
  description: string;
  repository_url: string | null;
  branch: string | null;
}

/** Names between double braces: `{{title}}`. */
export const TEMPLATE_NAMES = ['title', 'description', 'repository_url', 'branch'] as const;

const DEFAULT_TEMPLATE = '{{title}}\n\n{{description}}';
const NAME = /\{\{\s*([a-z_]+)\s*\}\}/g;

/** The names in a template that mean nothing. */
export function unknownNames(template: string): string[] {
  const names = [...template.matchAll(NAME)].map(([, name]) => name ?? '');
  return [...new Set(names.filter((name) => !(TEMPLATE_NAMES as readonly string[]).includes(name)))];
}

/** The text of a task's first prompt; of what the task does not have, nothing. */
export function firstPrompt(task: PromptTask, template: string | null): string {
  const known = new Map<string, string>(TEMPLATE_NAMES.map((name) => [name, task[name] ?? '']));
  return (template ?? DEFAULT_TEMPLATE).replaceAll(NAME, (all, name: string) => known.get(name) ?? all).trim();
}
