import { defineEntity, p } from '@mikro-orm/postgresql';

export const QueueKeeperSchema = defineEntity({
  name: 'QueueKeeperBeat',
  tableName: 'queue_keepers',
  properties: {
    /** The server process. */
    id: p.uuid().primary(),
    heartbeat_at: p.datetime(3).defaultRaw('now()'),
  },
});

/** A process that looks after the queue, and when it has last done so. */
export class QueueKeeperBeat extends QueueKeeperSchema.class {}
QueueKeeperSchema.setClass(QueueKeeperBeat);
