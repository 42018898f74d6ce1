import type { ApiDocument, Schema } from './document-types.js';

const MAX_NESTING = 16; // steps into an example: a schema that contains itself must end somewhere
const SOME_TEXT = 'text';

/**
 * An example of the schema, from the examples, defaults and enums of its parts. Of a request's fields only those with
 * an example of their own and the required ones are shown; undefined where nothing can be said.
 */
export function exampleOf(document: ApiDocument, schema: Schema | undefined, depth = 0): unknown {
  if (!schema || depth > MAX_NESTING) return undefined;
  if (schema.$ref !== undefined) return exampleOf(document, resolve(document, schema.$ref), depth + 1);
  if (schema.examples?.length) return schema.examples[0];
  if (schema.default !== undefined) return schema.default;
  if (schema.enum?.length) return schema.enum[0];
  const [first] = [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])];
  if (first) return exampleOf(document, first, depth + 1);
  if (schema.allOf) {
    const parts = schema.allOf.map((part) => exampleOf(document, part, depth + 1));
    return parts.length === 1 ? parts[0] : (Object.assign({}, ...parts) as object);
  }
  return ofType(document, schema, depth);
}

function ofType(document: ApiDocument, schema: Schema, depth: number): unknown {
  const types = [schema.type].flat();
  if (types.includes('null')) return null;
  if (types.includes('array')) {
    const item = exampleOf(document, schema.items, depth + 1);
    return item === undefined ? [] : [item];
  }
  if (schema.properties) {
    const shown = Object.entries(schema.properties).filter(
      ([name, of]) => schema.required?.includes(name) || of.examples?.length,
    );
    const entries = shown.map(([name, of]) => [name, exampleOf(document, of, depth + 1)] as const);
    return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
  }
  if (types.includes('object')) return {};
  if (types.includes('boolean')) return false;
  if (types.includes('integer') || types.includes('number')) return schema['minimum'] ?? 0;
  if (!types.includes('string')) return undefined;
  if (schema.format === 'uuid') return '019ac1a5-7c1e-7000-8000-000000000000';
  if (schema.format === 'date-time') return '2026-11-22T12:00:00.000Z';
  return schema['pattern'] === undefined ? SOME_TEXT.padEnd(Number(schema['minLength'] ?? 0), ' more') : undefined;
}

function resolve(document: ApiDocument, $ref: string): Schema | undefined {
  return document.components.schemas[$ref.replace('#/components/schemas/', '')];
}
