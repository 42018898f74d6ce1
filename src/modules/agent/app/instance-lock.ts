import { LockMode } from '@mikro-orm/core';
import type { Tx } from '../../../common/persistence/transactions.js';
import { AgentInstance } from '../domain/agent-instance.entity.js';
import { Fenced } from './agent-rows.js';

/** Who writes: the attempt's agent, under the epoch of its claim. */
export interface Claim {
  agent_id: string;
  epoch: number;
}

/** The instance's row, locked for a change. @throws Fenced when another server has taken the attempt over */
export async function lockInstance(tx: Tx, { agent_id, epoch }: Claim): Promise<AgentInstance> {
  const claimed = { id: agent_id, epoch };
  const instance = await tx.em.findOne(AgentInstance, claimed, { lockMode: LockMode.PESSIMISTIC_WRITE });
  if (!instance) throw new Fenced();
  return instance;
}
