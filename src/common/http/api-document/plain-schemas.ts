import type { Schema } from './document-types.js';

/** Ids that others give: an engine, a client. All else that is called an id is a UUID. */
const FOREIGN_IDS = new Set(['container_id', 'image_id', 'correlation_id', 'option_id', 'mode_id', 'tool_call_id']);
const ID = /^(?:id|[a-z_]+_id)$/;
const IDS = /^[a-z_]+_ids$/;
const TIME = /^[a-z_]+_at$/;

/**
 * Turns a schema as the decorators write it (OpenAPI 3.0) into the JSON Schema that OpenAPI 3.1 takes, in place:
 * `null` is a type, examples are lists. What names promise is written out: `…_id` is a UUID, `…_at` a time.
 */
export function makePlain(schema: Schema, name = ''): void {
  for (const [property, of] of Object.entries(schema.properties ?? {})) makePlain(of, property);
  for (const part of [...(schema.allOf ?? []), ...(schema.anyOf ?? []), ...(schema.oneOf ?? [])]) makePlain(part, name);
  if (schema.items) makePlain(schema.items, IDS.test(name) ? 'id' : '');
  if (typeof schema.additionalProperties === 'object') makePlain(schema.additionalProperties);
  nameFormat(schema, name);
  if (schema.nullable) makeNullable(schema);
  delete schema.nullable;
  if (schema.example !== undefined) schema.examples = [asExample(schema)];
  delete schema.example;
}

/** Of a list in a query the example is written as it stands there: `a,b`. */
function asExample({ type, example }: Schema): unknown {
  return type === 'array' && typeof example === 'string' ? example.split(',') : example;
}

function nameFormat(schema: Schema, name: string): void {
  if (schema.type !== 'string' || schema.format !== undefined || schema.enum || schema['pattern']) return;
  if (ID.test(name) && !FOREIGN_IDS.has(name)) schema.format = 'uuid';
  if (TIME.test(name)) schema.format = 'date-time';
}

function makeNullable(schema: Schema): void {
  const { $ref, allOf, type, enum: values } = schema;
  const referred = $ref === undefined ? allOf : [{ $ref }];
  if (referred) {
    delete schema.$ref;
    delete schema.allOf;
    delete schema.type;
    schema.anyOf = [referred.length === 1 ? referred[0]! : { allOf: referred }, { type: 'null' }];
    return;
  }
  if (type !== undefined) schema.type = [...new Set([type, 'null'].flat())];
  if (values && !values.includes(null)) schema.enum = [...values, null];
}
