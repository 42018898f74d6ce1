const MAX_SLUG = 40; // names stay readable in lists of branches

/**
 * The branch that a task's work goes to: `kandev/{short id}-{slug}`. Of the id its end, since that is the random part
 * of a UUID v7; of the title its ASCII words, `task` where it has none.
 */
export function workBranch(taskId: string, title: string): string {
  const shortId = taskId.replaceAll('-', '').slice(-8).toLowerCase();
  return `kandev/${shortId}-${slug(title) || 'task'}`;
}

function slug(title: string): string {
  const words = title
    .normalize('NFKD') // letters with accents leave their accents behind
    .toLowerCase()
    .replaceAll(/[\u0300-\u036f]/g, '')
    .replaceAll('ß', 'ss')
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '');
  if (words.length <= MAX_SLUG) return words;
  // A whole last word, if that does not cost half of it.
  const cut = words.slice(0, MAX_SLUG + 1).lastIndexOf('-');
  return words.slice(0, cut > MAX_SLUG / 2 ? cut : MAX_SLUG).replace(/-+$/, '');
}
