import type { FastifyInstance, FastifyRequest } from 'fastify';
import { AGENT_KEY_PREFIX } from '../auth/agent-keys.js';
import { DomainError } from '../errors/domain-error.js';
import { PROBLEM_TYPE, toProblem } from '../errors/problem.js';
import type { ProcessRole } from '../ops/roles.js';

const FOR_OPERATORS = /^\/(health\/|metrics$)/;

/**
 * A process that serves no clients refuses them, all but operators' looks and, on a runner, its own agents: these come
 * through their gateways with their own keys, which open what is theirs and no more.
 */
export function refuseClients(fastify: FastifyInstance, role: ProcessRole): void {
  if (role === 'all' || role === 'api') return;
  fastify.addHook('onRequest', (request, reply, done) => {
    const [path = '/'] = request.url.split('?');
    if (FOR_OPERATORS.test(path) || (role === 'runner' && isAgent(request))) return done();
    const text = `This process serves no clients (KANDEV_ROLE=${role}). Ask one whose role is all or api.`;
    const problem = toProblem(new DomainError('not_found', 'server.no_clients', text), path);
    void reply
      .status(problem.status)
      .header('Content-Type', PROBLEM_TYPE)
      .send(JSON.stringify({ ...problem, correlation_id: request.id }));
  });
}

function isAgent({ headers: { authorization } }: FastifyRequest): boolean {
  return authorization?.startsWith(`Bearer ${AGENT_KEY_PREFIX}`) ?? false;
}
