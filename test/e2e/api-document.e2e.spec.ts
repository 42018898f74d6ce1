import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestServer } from '../support/server.js';

interface Schema {
  type?: string | string[];
  format?: string;
  enum?: unknown[];
  nullable?: boolean;
  allOf?: Schema[];
  properties?: Record<string, Schema>;
}

interface Operation {
  operationId: string;
  tags: string[];
  security: object[];
  parameters?: { name: string; in: string; required?: boolean }[];
  requestBody?: { content: Record<string, { example?: unknown }> };
  responses: Record<string, { headers?: object; content?: Record<string, { schema: Schema; examples?: object }> }>;
}

interface ApiDocument {
  openapi: string;
  info: { version: string; description: string };
  servers: { url: string }[];
  tags: { name: string; description: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema>; securitySchemes: object };
}

const ROOT = join(import.meta.dirname, '../..');

let server: TestServer;
let document: ApiDocument;
let operations: Operation[];

beforeAll(async () => {
  server = await TestServer.start();
  document = (await (await fetch(`${server.url}/api/v1/openapi.json`)).json()) as ApiDocument;
  operations = Object.values(document.paths).flatMap((path) => Object.values(path));
});

afterAll(() => server.dispose());

const codes = (operation: Operation, status: string) =>
  operation.responses[status]?.content?.['application/problem+json']?.schema.allOf?.[1]?.properties?.['code']?.enum;

describe('the API document', () => {
  it('has the version of the package, and serves from where it is', () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    expect(document.openapi).toBe('3.1.0');
    expect(document.info.version).toBe(version);
    expect(document.info.description).toContain('Idempotency-Key');
    expect(document.servers).toEqual([expect.objectContaining({ url: '/' })]);
    expect(Object.keys(document.components.securitySchemes)).toEqual(['bearer', 'api_key']);
  });

  it('describes every tag that an operation stands under', () => {
    const described = new Set(document.tags.map(({ name }) => name));
    expect(operations.filter(({ tags }) => tags.length !== 1 || !described.has(tags[0] ?? ''))).toEqual([]);
  });

  it('lists the codes of every error answer', () => {
    for (const operation of operations) {
      const { operationId, responses, security } = operation;
      expect(codes(operation, '429'), operationId).toContain('request.too_many');
      expect(responses['429']?.headers, operationId).toHaveProperty('Retry-After');
      for (const status of Object.keys(responses).filter((name) => /^[45]/.test(name)))
        expect(codes(operation, status)?.length, `${operationId} ${status}`).toBeGreaterThan(0);
      if (security.length > 0) expect(codes(operation, '401'), operationId).toContain('auth.token_expired');
    }
  });

  it('says what follows from headers and bodies', () => {
    for (const operation of operations) {
      const takes = (name: string) => operation.parameters?.some((parameter) => parameter.name === name);
      if (takes('Idempotency-Key')) expect(codes(operation, '409')).toContain('idempotency.key_reused');
      if (takes('If-Match')) expect(codes(operation, '412')).toContain('precondition.stale');
      const json = operation.requestBody?.content['application/json'];
      if (!json) continue;
      expect(codes(operation, '415'), operation.operationId).toEqual(['request.unsupported_media_type']);
      expect(json.example, operation.operationId).toBeTypeOf('object');
    }
  });

  it('is JSON Schema: null is a type, ids are UUIDs', () => {
    const text = JSON.stringify(document);
    expect(text).not.toContain('"nullable"');
    const board = document.components.schemas['Board']?.properties;
    expect(board?.['id']).toMatchObject({ type: 'string', format: 'uuid' });
    expect(board?.['created_at']).toMatchObject({ type: 'string', format: 'date-time' });
    expect(board?.['description']?.type).toEqual(['string', 'null']);
  });
});
