import { MikroORM } from '@mikro-orm/postgresql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { migrations } from '../../migrations/index.js';
import { entities } from '../../src/app.module.js';
import type { MessageDraft } from '../../src/common/acp/acp-message.js';
import { ormOptions } from '../../src/common/persistence/orm.js';
import type { AgentDB } from '../../src/modules/agent/app/agent-rows.js';
import { GetProgressHandler } from '../../src/modules/agent/app/agent.queries.js';
import { progressColumns } from '../../src/modules/agent/app/progress-columns.js';
import { GetProgressQuery } from '../../src/modules/agent/contracts/agent.queries.js';
import { lines, MessageWorld, type TestAgent } from '../support/message-world.js';

let world: MessageWorld;

beforeAll(async () => {
  world = await MessageWorld.open();
});
afterAll(() => world.close());

const progress = (data: Record<string, unknown>): MessageDraft => {
  return { type: 'progress', timestamp: new Date().toISOString(), level: null, data };
};

describe('the progress of an attempt', () => {
  let agent: TestAgent;
  const tell = async (...drafts: MessageDraft[]) => {
    const columns = progressColumns(drafts);
    const db = world.database.transactions.kysely<AgentDB>();
    await db.updateTable('agent_instances').set(columns).where('id', '=', agent.agent_id).execute();
    return known();
  };
  const known = () => new GetProgressHandler(world.database.transactions).execute(new GetProgressQuery(agent.agent_id));
  const passes = (ms: number, paused = 0) =>
    world.sql(
      `update agent_instances set first_progress_at = first_progress_at - $2 * interval '1 ms', paused_ms = paused_ms + $3 where id = $1`,
      [agent.agent_id, ms, paused],
    );

  beforeAll(async () => {
    agent = await world.agent();
  });

  it('is what it last told, and how far it has come since it began', async () => {
    expect(await known()).toEqual({ progress: null, operation: null, since_first: null, paused_ms: 0 });
    expect(progressColumns(lines(3))).toEqual({});
    expect(await tell(progress({ message: 'Warming up' }))).toMatchObject({ progress: null, operation: 'Warming up' });
    expect(
      await tell(progress({ progress: 10 }), progress({ progress: 12.5, message: 'a' }), ...lines(1)),
    ).toMatchObject({
      ...{ progress: 12.5, operation: 'a', since_first: { gained: 2.5 } },
    });
    await passes(60_000, 20_000);
    const later = await tell(progress({ progress: 30 }));
    expect(later).toMatchObject({ progress: 30, operation: 'a', since_first: { gained: 20 }, paused_ms: 20_000 });
    expect(later!.since_first!.elapsed_ms).toBeGreaterThan(39_900);
    expect(later!.since_first!.elapsed_ms).toBeLessThan(50_000);
    // Back, but not before its beginning: the same beginning.
    expect(await tell(progress({ progress: 15 }))).toMatchObject({ progress: 15, since_first: { gained: 5 } });
    // Before it: begun anew, pauses of before not counted.
    const anew = await tell(progress({ progress: 4 }), progress({ progress: 6 }));
    expect(anew).toMatchObject({ progress: 6, since_first: { gained: 2 } });
    expect(anew!.since_first!.elapsed_ms).toBeLessThan(10_000);
    await world.sql(`update agent_instances set paused_at = now() where id = $1`, [agent.agent_id]);
    expect(await known()).toMatchObject({ progress: 6, since_first: null });
  });

  it('takes whatever an agent says', async () => {
    const odd = { message: `\0\ud800${'💥'.repeat(400)}`, progress: 1e300 };
    expect(await tell(progress(odd))).toMatchObject({ progress: 100 });
    expect((await known())!.operation).toHaveLength(500);
    expect(await tell(progress({ progress: -5, message: 7 }))).toMatchObject({ progress: 0 });
    for (const tiny of [1e-50, 5e-324, -5e-324, -0, Number.MIN_VALUE * 3])
      expect(await tell(progress({ progress: tiny }))).toMatchObject({ progress: Math.max(0, tiny) });
    expect(progressColumns([progress({ progress: '50' })])).toEqual({});
  });

  it('and the messages of before the columns are kept by the migration', async () => {
    const orm = await MikroORM.init(ormOptions(world.database.url, entities, migrations, 2));
    const at = migrations.findIndex(({ name }) => name.endsWith('stream'));
    await world.append(agent, [progress({ progress: 41, message: 'then' }), ...lines(2), progress({ progress: 42 })]);
    await orm.migrator.down({ to: migrations[at - 1]!.name });
    await orm.migrator.up();
    await orm.close();
    expect(await known()).toMatchObject({ progress: 42, since_first: null });
    expect(await world.seqs(agent.task_id)).toEqual([1, 2, 3, 4]);
    expect(await world.head(agent.task_id)).toEqual({ head_seq: 4, first_seq: 1 });
    expect(await world.append(agent, lines(1))).toBe(5);
  });
});
