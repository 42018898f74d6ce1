import { Inject, Injectable } from '@nestjs/common';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import type { FieldError } from '../../../common/errors/domain-error.js';
import { invalidRequest } from '../../../common/validation/validation-error.js';
import { hostVariables } from '../domain/environment.js';
import { imageReferenceProblem } from '../domain/image-reference.js';
import type { AgentTypeFields } from './agent-type-records.js';

/** What can't be said of one field alone, or without the server's settings. */
@Injectable()
export class AgentTypeRules {
  constructor(@Inject(CONFIG) private readonly config: Config) {}

  /** Looks at the given fields only: a setting that has changed since must not stand in the way of another field. @throws DomainError `request.invalid` */
  check(type: AgentTypeFields, fields: readonly (keyof AgentTypeFields)[] = ALL): void {
    const errors: FieldError[] = [];
    if (fields.includes('docker_image') || fields.includes('docker_tag')) {
      const message = imageReferenceProblem(type.docker_image, type.docker_tag);
      if (message) errors.push({ field: 'docker_image', message });
    }
    if (fields.includes('network') || fields.includes('allowed_hosts')) {
      if (type.network === 'allowlist' && type.allowed_hosts.length === 0)
        errors.push({ field: 'allowed_hosts', message: 'must name at least one host for the network allowlist' });
    }
    if (fields.includes('environment_vars')) errors.push(...this.refusedVariables(type.environment_vars));
    if (errors.length > 0) throw invalidRequest(errors);
  }

  private refusedVariables(variables: Record<string, string>): FieldError[] {
    const allowed = this.config.agent.env_allowlist;
    return Object.entries(variables).flatMap(([name, text]) => {
      const refused = hostVariables({ [name]: text }).find((asked) => !allowed.includes(asked));
      if (refused === undefined) return [];
      const choice = allowed.length > 0 ? `one of ${allowed.join(', ')}` : 'nothing, as KANDEV_ENV_ALLOWLIST is empty';
      const message = `must not take \${${refused}} of the server's environment; it may take ${choice}`;
      return [{ field: `environment_vars.${name}`, message: `${message} (KANDEV_ENV_ALLOWLIST)` }];
    });
  }
}

const ALL = [
  ...(['docker_image', 'docker_tag', 'environment_vars'] as const),
  ...(['network', 'allowed_hosts'] as const),
] as const satisfies readonly (keyof AgentTypeFields)[];
