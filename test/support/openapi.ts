import type { ErrorObject, ValidateFunction } from 'ajv';
import { Ajv2020 as Ajv } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';

type Type = 'string' | 'integer' | 'number' | 'boolean' | 'array' | 'object' | 'null';

/** A schema of OpenAPI 3.1, as far as ours go. */
export interface Schema {
  $ref?: string;
  type?: Type | Type[];
  format?: string;
  pattern?: string;
  enum?: unknown[];
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  uniqueItems?: boolean;
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  allOf?: Schema[];
  anyOf?: Schema[];
  oneOf?: Schema[];
}

export interface Parameter {
  name: string;
  in: 'path' | 'query' | 'header' | 'cookie';
  required?: boolean;
  schema: Schema;
}

interface Media {
  schema?: Schema;
}

export interface ApiResponse {
  description: string;
  content?: Record<string, Media>;
  headers?: Record<string, { schema: Schema }>;
}

interface RawOperation {
  operationId: string;
  parameters?: Parameter[];
  requestBody?: { required?: boolean; content: Record<string, Media> };
  responses: Record<string, ApiResponse>;
  security?: object[];
}

export interface Operation extends Omit<RawOperation, 'parameters' | 'requestBody'> {
  /** Upper case. */
  method: string;
  /** With `{names}`, from the server's root. */
  path: string;
  parameters: Parameter[];
  /** Of the JSON body; undefined where it takes none. */
  body?: Schema;
  bodyRequired: boolean;
}

interface Document {
  paths: Record<string, Record<string, RawOperation>>;
  components: { schemas: Record<string, Schema> };
}

const JSON_MEDIA = 'application/json';
/** RFC 3339 in UTC with milliseconds: the one form that we answer. */
const TIME = /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$/;
const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** The API document of a running server, and what follows from it. */
export class OpenApi {
  readonly operations: readonly Operation[];
  private readonly answers: Ajv;
  private readonly requests: Ajv;
  private readonly validators = new Map<string, ValidateFunction>();

  private constructor(readonly document: Document) {
    const { schemas } = document.components;
    this.answers = ajvWith(schemas).addFormat('date-time', TIME).addFormat('uuid', ID);
    this.requests = ajvWith(schemas);
    this.operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => toOperation(path, method, operation)),
    );
  }

  static async of(url: string): Promise<OpenApi> {
    return new OpenApi((await (await fetch(`${url}/api/v1/openapi.json`)).json()) as Document);
  }

  operation(id: string): Operation {
    const found = this.operations.find(({ operationId }) => operationId === id);
    if (!found) throw new Error(`the document has no operation ${id}`);
    return found;
  }

  /** The schema itself where it is a reference, alone or in an `allOf` of one. */
  resolve(schema: Schema): Schema {
    const only = schema.allOf?.length === 1 ? schema.allOf[0] : undefined;
    if (only) return this.resolve(only);
    if (schema.$ref === undefined) return schema;
    const name = schema.$ref.replace('#/components/schemas/', '');
    const found = this.document.components.schemas[name];
    if (!found) throw new Error(`the document has no schema ${name}`);
    return this.resolve(found);
  }

  /** What is wrong with the body of an answer by the document, a line each; fields it does not name are wrong. */
  problemsOf(operation: Operation, status: number, media: string, body: unknown): string[] {
    const content = operation.responses[status]?.content ?? {};
    const schema = content[media]?.schema;
    if (!schema) return [`${media} is not documented, only ${Object.keys(content).join(', ') || 'an empty body'}`];
    const validate = this.validator(`${operation.operationId} ${status} ${media}`, this.answers, schema);
    return validate(body) ? [] : (validate.errors ?? []).map(describeError);
  }

  /** Whether the body is one that the document allows. */
  allows(operation: Operation, body: unknown): boolean {
    if (!operation.body) return true;
    if (body === undefined) return !operation.bodyRequired;
    return this.validator(`${operation.operationId} body`, this.requests, operation.body)(body);
  }

  private validator(key: string, ajv: Ajv, schema: Schema): ValidateFunction {
    const validate = this.validators.get(key) ?? ajv.compile(closed(schema));
    this.validators.set(key, validate);
    return validate;
  }
}

function ajvWith(schemas: Record<string, Schema>): Ajv {
  const ajv = new Ajv({ allErrors: true, strictTypes: false, strictRequired: false });
  formats.default(ajv);
  return ajv.addSchema({ $id: 'api', $defs: mapValues(schemas, closed) });
}

function toOperation(path: string, method: string, operation: RawOperation): Operation {
  const { parameters = [], requestBody, ...rest } = operation;
  const body = requestBody?.content[JSON_MEDIA]?.schema;
  return {
    ...rest,
    method: method.toUpperCase(),
    path,
    parameters,
    body,
    bodyRequired: requestBody?.required ?? false,
  };
}

/**
 * The schema with objects that take only the properties they name. Parts of an `allOf` stay open, and so do problem
 * documents: RFC 9457 extends them.
 */
function closed(schema: Schema): Schema {
  const { $ref, anyOf, oneOf, allOf, items, properties, additionalProperties } = schema;
  const isProblem = properties?.['correlation_id'] !== undefined && properties['instance'] !== undefined;
  const isOpen = !properties || additionalProperties !== undefined || isProblem;
  return {
    ...schema,
    ...($ref ? { $ref: $ref.replace('#/components/schemas/', 'api#/$defs/') } : {}),
    ...(anyOf ? { anyOf: anyOf.map(closed) } : {}),
    ...(oneOf ? { oneOf: oneOf.map(closed) } : {}),
    ...(allOf ? { allOf: allOf.map((part) => (part.$ref ? closed(part) : part)) } : {}),
    ...(items ? { items: closed(items) } : {}),
    ...(properties ? { properties: mapValues(properties, closed) } : {}),
    ...(typeof additionalProperties === 'object' ? { additionalProperties: closed(additionalProperties) } : {}),
    ...(isOpen ? {} : { additionalProperties: false }),
  };
}

function mapValues<T, U>(record: Record<string, T>, convert: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, convert(value)]));
}

function describeError({ instancePath, message, params }: ErrorObject): string {
  const extra = (params as { additionalProperty?: string }).additionalProperty;
  return `${instancePath || '/'} ${message ?? ''}${extra ? ` (${extra})` : ''}`;
}
