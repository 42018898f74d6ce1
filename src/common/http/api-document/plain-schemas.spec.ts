import { describe, expect, it } from 'vitest';
import type { Schema } from './document-types.js';
import { makePlain } from './plain-schemas.js';

const plain = (schema: Schema, name = '') => {
  makePlain(schema, name);
  return schema;
};

describe('schemas of the API document', () => {
  it.each<[Schema, Schema]>([
    [{ type: 'string', nullable: true }, { type: ['string', 'null'] }],
    [{ type: 'string', nullable: false }, { type: 'string' }],
    [
      { type: 'string', enum: ['a'], nullable: true },
      { type: ['string', 'null'], enum: ['a', null] },
    ],
    [{ nullable: true, $ref: '#/x' }, { anyOf: [{ $ref: '#/x' }, { type: 'null' }] }],
    [
      { nullable: true, type: 'object', allOf: [{ $ref: '#/x' }], description: 'y' },
      { anyOf: [{ $ref: '#/x' }, { type: 'null' }], description: 'y' },
    ],
    [
      { type: 'string', example: 'x' },
      { type: 'string', examples: ['x'] },
    ],
    [
      { type: 'string', nullable: true, example: null },
      { type: ['string', 'null'], examples: [null] },
    ],
    [
      { type: 'array', items: { type: 'string' }, example: 'a,b' },
      { type: 'array', items: { type: 'string' }, examples: [['a', 'b']] },
    ],
    [
      { type: 'object', additionalProperties: { type: 'string', nullable: true } },
      { type: 'object', additionalProperties: { type: ['string', 'null'] } },
    ],
  ])('%j becomes %j', (written, expected) => {
    expect(plain(written)).toEqual(expected);
  });

  it.each([
    ['id', 'uuid'],
    ['task_id', 'uuid'],
    ['created_at', 'date-time'],
    ['container_id', undefined],
    ['correlation_id', undefined],
    ['identity', undefined],
  ])('have the format of their name: %s is %s', (name, format) => {
    expect(plain({ type: 'object', properties: { [name]: { type: 'string' } } }).properties?.[name]?.format).toBe(
      format,
    );
  });

  it('have it in lists too, and keep one that is written', () => {
    expect(plain({ type: 'array', items: { type: 'string' } }, 'depends_on_ids').items?.format).toBe('uuid');
    expect(plain({ type: 'string', format: 'email' }, 'user_id').format).toBe('email');
  });
});
