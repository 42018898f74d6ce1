import { describe, expect, it } from 'vitest';
import { validationError } from './validation-error.js';

describe('validationError', () => {
  it('names nested fields by their path and says it in words', () => {
    const error = validationError([
      {
        property: 'resources',
        children: [
          { property: 'cpu', constraints: { isNumberString: 'cpu must be a number string' } },
          { property: 'ports', children: [{ property: '0', constraints: { isPort: 'must be a port' } }] },
        ],
      },
      { property: 'owner', constraints: { whitelistValidation: 'property owner should not exist' } },
    ]);
    expect(error).toMatchObject({
      ...{
        kind: 'invalid',
        code: 'request.invalid',
        message: 'These fields are wrong: resources.cpu, resources.ports.0, owner.',
      },
      details: {
        errors: [
          { field: 'resources.cpu', message: 'must be a number string' },
          { field: 'resources.ports.0', message: 'must be a port' },
          { field: 'owner', message: 'is not a known field' },
        ],
      },
    });
  });
});
