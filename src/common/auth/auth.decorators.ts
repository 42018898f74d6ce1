import { createParamDecorator, SetMetadata, UnauthorizedException, type ExecutionContext } from '@nestjs/common';
import type { Actor } from './actor.js';
import type { Principal } from './principal.js';

/** Key of the metadata that {@link Public} sets. */
export const PUBLIC = 'kandev:public';

/** Opens an operation to callers without a token. Everything else is closed by the global guard. */
export const Public = () => SetMetadata(PUBLIC, true);

/** Key of the metadata that {@link AllowAgentKey} sets. */
export const ALLOW_AGENT_KEY = 'kandev:allow-agent-key';

/** Opens an operation to agents' own keys too; all others refuse them. The handler checks whose key it is. */
export const AllowAgentKey = () => SetMetadata(ALLOW_AGENT_KEY, true);

/** Key of the metadata that {@link SessionOnly} sets. */
export const SESSION_ONLY = 'kandev:session-only';

/** Closes an operation to API keys: a key that was stolen must not be good for making itself at home. */
export const SessionOnly = () => SetMetadata(SESSION_ONLY, true);

/** Key of the metadata that {@link CredentialsInQuery} sets. */
export const CREDENTIALS_IN_QUERY = 'kandev:credentials-in-query';

/** Takes `?token=` and `?ticket=` too: for what browsers open without letting a page set headers. */
export const CredentialsInQuery = () => SetMetadata(CREDENTIALS_IN_QUERY, true);

/** A request after the guard has let it pass. */
export interface AuthenticatedRequest {
  actor?: Actor;
  principal?: Principal;
  headers: Record<string, string | string[] | undefined>;
  query?: unknown;
}

/** The {@link Actor} of the request. */
export const CurrentActor = createParamDecorator((_: unknown, context: ExecutionContext): Actor => {
  const { actor } = context.switchToHttp().getRequest<AuthenticatedRequest>();
  if (!actor) throw new UnauthorizedException();
  return actor;
});

/** The {@link Principal} of the request: the actor, and when what they have shown ends. */
export const CurrentPrincipal = createParamDecorator((_: unknown, context: ExecutionContext): Principal => {
  const { principal } = context.switchToHttp().getRequest<AuthenticatedRequest>();
  if (!principal) throw new UnauthorizedException();
  return principal;
});
