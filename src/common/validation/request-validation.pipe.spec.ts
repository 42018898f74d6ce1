import 'reflect-metadata';
import { IsOptional } from 'class-validator';
import { describe, expect, it } from 'vitest';
import type { DomainError } from '../errors/domain-error.js';
import { MayBeAbsent } from './check.decorator.js';
import { FromDigits, IsListOf, IsOneOf, IsText, IsWholeNumber } from './fields.decorator.js';
import { IsJsonObject } from './is-json-object.decorator.js';
import { PageQuery } from './page.dto.js';
import { RequestValidationPipe } from './request-validation.pipe.js';

class Body {
  @IsText({ min: 1, max: 5, trim: true })
  title: string;

  @MayBeAbsent()
  @IsWholeNumber({ min: 0, max: 10 })
  priority?: number;

  @IsOptional()
  @IsOneOf(['a', 'b'])
  kind?: string | null;

  @MayBeAbsent()
  @IsJsonObject()
  metadata?: Record<string, unknown>;
}

class Filter extends PageQuery {
  @MayBeAbsent()
  @IsListOf(['a', 'b'])
  kind?: string[];

  @MayBeAbsent()
  @FromDigits()
  @IsWholeNumber({ min: 0, max: 10 })
  priority?: number;
}

const pipe = new RequestValidationPipe();
const body = (value: unknown) => pipe.transform(value, { type: 'body', metatype: Body });
const query = (value: unknown) => pipe.transform(value, { type: 'query', metatype: Filter });
const errorsOf = async (result: Promise<unknown>) => {
  const error = await result.then(
    () => undefined,
    (reason: DomainError) => reason,
  );
  expect(error).toMatchObject({ kind: 'invalid', code: 'request.invalid' });
  return Object.fromEntries((error?.details.errors ?? []).map(({ field, message }) => [field, message]));
};

describe('bodies', () => {
  it('come out as their class, trimmed', async () => {
    const value = await body({ title: '  abc\n', priority: 3, kind: null, metadata: { toString: 1 } });
    expect(value).toBeInstanceOf(Body);
    expect(value).toMatchObject({ title: 'abc', priority: 3, kind: null, metadata: { toString: 1 } });
  });

  it('are refused with every wrong field', async () => {
    expect(await errorsOf(body({ title: '   ', priority: '3', kind: 'c', metadata: [], owner_id: 1 }))).toEqual({
      title: 'must not be empty',
      priority: 'must be a whole number from 0 to 10',
      kind: 'must be one of a, b',
      metadata: 'must be a JSON object',
      owner_id: 'is not a known field',
    });
  });

  it.each([
    [{ title: 'a', priority: null }, { priority: 'must be a whole number from 0 to 10' }],
    [{ title: 'a', priority: 1.5 }, { priority: 'must be a whole number from 0 to 10' }],
    [{ title: 'a', kind: ['a'] }, { kind: 'must be one of a, b' }],
    [{ title: ['a'] }, { title: 'must be a text' }],
    [{}, { title: 'must be a text' }],
    [undefined, { title: 'must be a text' }],
    [{ title: 'a', valueOf: 1 }, { valueOf: 'is not a known field' }],
    [JSON.parse('{"title":"a","__proto__":{"x":1}}'), { ['__proto__']: 'is not a known field' }],
    [{ title: 'a', metadata: { prototype: 1 } }, { body: 'must not have a key prototype' }],
  ])('%j: %j', async (value, errors) => {
    expect(await errorsOf(body(value))).toEqual(errors);
  });

  it.each([[[]], [[{}]], [null], [5], ['x'], [true]])('%j is no object', async (value) => {
    expect(await errorsOf(body(value))).toEqual({ body: 'must be a JSON object' });
  });

  it('are refused when they are deep, before anything recurses into them', async () => {
    const deep: unknown = JSON.parse(`{"x":${'['.repeat(200_000)}${']'.repeat(200_000)}}`);
    expect(await errorsOf(body(deep))).toEqual({ body: 'must not be nested deeper than 32 levels' });
  });

  it('with thousands of unknown fields get a short answer', async () => {
    const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`x${index}${'y'.repeat(200)}`, 1]));
    const errors = await errorsOf(body(many));
    expect(Object.keys(errors)).toHaveLength(20);
    expect(JSON.stringify(errors).length).toBeLessThan(5_000);
  });
});

describe('queries', () => {
  it('have defaults, and only digits become numbers', async () => {
    expect(await query({})).toMatchObject({ limit: 50, offset: 0, cursor: undefined, priority: undefined });
    expect(await query({ limit: '200', offset: '7', priority: '0', kind: 'a,b,a' })).toMatchObject({
      ...{ limit: 200, offset: 7, priority: 0 },
      kind: ['a', 'b'],
    });
    expect(await query({ kind: ['a', 'b'] })).toMatchObject({ kind: ['a', 'b'] });
  });

  it.each([
    [{ limit: '0' }, 'limit'],
    [{ limit: '201' }, 'limit'],
    [{ limit: '1e2' }, 'limit'],
    [{ limit: '' }, 'limit'],
    [{ limit: ['1', '2'] }, 'limit'],
    [{ offset: '-1' }, 'offset'],
    [{ cursor: 'a b' }, 'cursor'],
    [{ cursor: 'ab', offset: '1' }, 'cursor'],
    [{ kind: 'a,c' }, 'kind'],
    [{ kind: '' }, 'kind'],
    [{ kind: { a: '1' } }, 'kind'],
    [{ page: '1' }, 'page'],
  ])('%j: %s is wrong', async (value, field) => {
    expect(Object.keys(await errorsOf(query(value)))).toEqual([field]);
  });
});
