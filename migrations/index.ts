import { InitialSchema } from './20261122000000-initial-schema.js';
import { SeedAgentTypes } from './20261122000100-seed-agent-types.js';
import { RestApi } from './20261123000000-rest-api.js';
import { AgentRuntime } from './20261124000000-agent-runtime.js';
import { Stream } from './20261125000000-stream.js';
import { Orchestrator } from './20261126000000-orchestrator.js';
import { Claim } from './20261126000001-claim.js';
import { Retries } from './20261126000100-retries.js';
import { Budgets } from './20261126000200-budgets.js';
import { WipLimits } from './20261126000300-wip-limits.js';
import { Hosts } from './20261126000500-hosts.js';
import { FasterClaim } from './20261127000000-faster-claim.js';
import { FailureSafety } from './20261127000100-failure-safety.js';
import { AccessNews } from './20261127000200-access-news.js';
import { Sessions } from './20261128000000-sessions.js';
import { SessionAgents } from './20261128000001-session-agents.js';
import { SessionRecords } from './20261128000200-session-records.js';

/** All migrations, oldest first. The name is what the database remembers: never rename one that has shipped. */
export const migrations = [
  { name: '20261122000000-initial-schema', class: InitialSchema },
  { name: '20261122000100-seed-agent-types', class: SeedAgentTypes },
  { name: '20261123000000-rest-api', class: RestApi },
  { name: '20261124000000-agent-runtime', class: AgentRuntime },
  { name: '20261125000000-stream', class: Stream },
  { name: '20261126000000-orchestrator', class: Orchestrator },
  { name: '20261126000001-claim', class: Claim },
  { name: '20261126000100-retries', class: Retries },
  { name: '20261126000200-budgets', class: Budgets },
  { name: '20261126000300-wip-limits', class: WipLimits },
  { name: '20261126000500-hosts', class: Hosts },
  { name: '20261127000000-faster-claim', class: FasterClaim },
  { name: '20261127000100-failure-safety', class: FailureSafety },
  { name: '20261127000200-access-news', class: AccessNews },
  { name: '20261128000000-sessions', class: Sessions },
  { name: '20261128000001-session-agents', class: SessionAgents },
  { name: '20261128000200-session-records', class: SessionRecords },
];
