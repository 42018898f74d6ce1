/** What every list answers besides its rows. */
interface PageBody {
  next_cursor: string | null;
}

type Rows<P> = { [K in keyof P]: P[K] extends readonly (infer Row)[] ? Row : never }[keyof P];

/**
 * Every row of a list, page by page, by cursor: however long the list is, and without gaps or repeats while it changes.
 *
 *     for await (const task of paginate((page) => kandev.listTasks({ path: { boardId }, query: { ...page } }))) …
 *
 * @param list asks for one page; `page` goes into its query
 * @throws KandevError as the list does
 */
export async function* paginate<P extends PageBody>(
  list: (page: { limit: number; cursor?: string }) => Promise<P>,
  { limit = 200 } = {}, // the most that one page may have
): AsyncGenerator<Rows<P>, void, undefined> {
  let cursor: string | undefined;
  do {
    const body = await list({ limit, ...(cursor === undefined ? {} : { cursor }) });
    const rows = Object.values(body).find((value) => Array.isArray(value)) as Rows<P>[] | undefined;
    yield* rows ?? [];
    cursor = body.next_cursor ?? undefined;
  } while (cursor !== undefined);
}
