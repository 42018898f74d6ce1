import { sql } from 'kysely';
import type { Condition } from './task-filter.js';

/** What PostgreSQL's parser would make addresses, paths, signs, versions and markup of: those would be found as a whole only. */
const JOINTS = '-+./@_~<>&';
/** Blanks and the punctuation of ASCII: nothing in a word can mean anything in a query. What else is no word, PostgreSQL knows. */
const BETWEEN_WORDS = /[\s\x00-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]+/u;

/** The words of a task `t`, exactly as the index `tasks_search_idx` has them. */
const WORDS = sql`to_tsvector('simple', translate(t.title || ' ' || t.description, ${sql.lit(JOINTS)}, ${sql.lit(' '.repeat(JOINTS.length))}))`;

/** The tsquery, as text, for tasks that have each word of the text or one that begins with it; null without any word. */
export function searchQuery(text: string): string | null {
  const words = [...new Set(text.toLowerCase().split(BETWEEN_WORDS))].filter(Boolean);
  // What has "invoices" has "invoice" too: one lookup less.
  const needed = words.filter((word) => !words.some((other) => other !== word && other.startsWith(word)));
  return needed.length > 0 ? needed.map((word) => `'${word}':*`).join(' & ') : null;
}

/** Whether a task `t` has the words of the text. Text without any word finds nothing. */
export function hasWords(text: string): Condition {
  const query = searchQuery(text);
  return query === null ? sql`false` : sql`${WORDS} @@ to_tsquery('simple', ${query})`;
}
