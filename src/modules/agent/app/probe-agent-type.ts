import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import type { Actor } from '../../../common/auth/actor.js';
import { Command } from '../../../common/bus/contracts.js';
import { DomainError, notFound } from '../../../common/errors/domain-error.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { TrialDialogues, type TrialFacts, type TrialQuirks } from '../contracts/trial-dialogues.js';
import { AgentType } from '../domain/agent-type.entity.js';
import { resolveVariables } from '../domain/environment.js';
import { AttemptFailure } from '../domain/outcome.js';
import { requireAdmin } from './agent-type-records.js';
import { ImageCheck } from './image-check/image-check.js';
import type { CheckRow, CheckTarget } from './image-check/image-check.types.js';

/** To its end, in seconds: an agent with an empty workspace has nothing to do, and a client waits for the answer. */
const PATIENCE_SECONDS = 60;
const DEADLINE_MS = 600_000; // a large image may have to be pulled first

/** What a probe of an agent type has found. */
export interface ProbeReport {
  image_name: string;
  /** Nothing failed. */
  ok: boolean;
  checks: CheckRow[];
  /** Of an agent that speaks the Agent Client Protocol and was started; else null. */
  session: ProbedSession | null;
}

/** What such an agent says of itself. Times are in milliseconds. */
export interface ProbedSession extends Pick<
  TrialFacts,
  'initialize_ms' | 'protocol_version' | 'agent' | 'capabilities' | 'auth_methods' | 'failure' | 'noise'
> {
  /** Null where no session was opened. */
  opened: { ms: number; modes: string[] } | null;
  longest_line_bytes: number;
}

/**
 * Runs the image of an agent type against the container contract. The host's variables that it asks for are not given:
 * what a trial says is nobody's secret.
 * @throws DomainError `agent_type.forbidden`, `agent_type.not_found`, `agent_type.probe_unsupported`,
 *   `agent_type.probe_running`, `engine.unavailable`
 */
export class ProbeAgentTypeCommand extends Command<ProbeReport> {
  constructor(
    readonly actor: Actor,
    readonly type_id: string,
  ) {
    super();
  }
}

@CommandHandler(ProbeAgentTypeCommand)
export class ProbeAgentTypeHandler implements ICommandHandler<ProbeAgentTypeCommand> {
  /** One at a time: a trial takes what two agents take. */
  private running = false;

  constructor(
    private readonly transactions: Transactions,
    private readonly imageCheck: ImageCheck,
    private readonly dialogues: TrialDialogues,
  ) {}

  async execute({ actor, type_id }: ProbeAgentTypeCommand): Promise<ProbeReport> {
    requireAdmin(actor);
    const type = await this.transactions.run((tx) => tx.em.findOne(AgentType, { id: type_id }));
    if (!type) throw notFound('agent type');
    if (type.runtime !== 'docker') {
      const text = 'Only agent types that run in containers can be probed.';
      throw new DomainError('unsupported', 'agent_type.probe_unsupported', text);
    }
    if (this.running) {
      throw new DomainError('conflict', 'agent_type.probe_running', 'A probe is under way. Try again when it is done.');
    }
    this.running = true;
    try {
      const target = targetOf(type, await this.dialogues.quirksOf(type.name));
      const report = await this.imageCheck.check(target, () => undefined, AbortSignal.timeout(DEADLINE_MS));
      const { checks, session } = report;
      const ok = checks.every(({ outcome }) => outcome !== 'fail');
      return { image_name: type.imageName(), ok, checks, session: session && probed(session) };
    } catch (error) {
      if (error instanceof AttemptFailure) throw new DomainError('unavailable', 'engine.unavailable', error.message);
      throw error;
    } finally {
      this.running = false;
    }
  }
}

function probed({ session, ...facts }: TrialFacts): ProbedSession {
  const { initialize_ms, protocol_version, agent, capabilities, auth_methods, failure, noise } = facts;
  return {
    ...{ initialize_ms, protocol_version, agent, capabilities, auth_methods, failure, noise },
    opened: session && { ms: session.ms, modes: session.modes },
    longest_line_bytes: facts.longest_line_bytes,
  };
}

function targetOf(type: AgentType, quirks: TrialQuirks): CheckTarget {
  return {
    image_name: type.imageName(),
    command: type.command ?? null,
    protocol: type.protocol,
    environment: resolveVariables(type.environment_vars ?? {}, () => 'not-given'),
    limits: type.default_resources,
    patience_seconds: PATIENCE_SECONDS,
    network: 'none',
    session: { quirks, prompt: null, answer: 'deny' }, // a turn would cost somebody's money
  };
}
