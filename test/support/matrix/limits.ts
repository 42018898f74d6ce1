import { ADMIN, SIGNED_IN, type Cell, type Rows } from './row.js';

/** Of somebody whose runs no other test waits for. */
const onExtra = ({ world }: Cell) => ({ ids: { scope: 'user', subject: world.people.extra.userId } });

export const LIMITS: Rows = {
  listRunLimits: { access: SIGNED_IN, ok: 200 },
  setRunLimit: {
    access: ADMIN,
    ok: 200,
    ask: (cell) => ({ ...onExtra(cell), body: { max_running: 3, weight: 2 } }),
  },
  removeRunLimit: {
    access: ADMIN,
    ok: 204,
    ask: async (cell) => {
      const { ids } = onExtra(cell);
      if (cell.allowed) {
        const path = `/orchestrator/limits/${ids.scope}/${ids.subject}`;
        await cell.world.people.admin.must(200, 'PUT', path, { max_running: 3 });
      }
      return { ids };
    },
  },
};
