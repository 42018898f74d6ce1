import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import { asksForSession, completeProblems, problemExamples, RATE_LIMIT_HEADERS } from './complete-problems.js';
import { DESCRIPTION, TAGS } from './document-text.js';
import { operationsOf, type ApiDocument, type Operation, type Schema } from './document-types.js';
import { exampleOf } from './examples.js';
import { makePlain } from './plain-schemas.js';
import { productVersion } from './product-version.js';

/** The OpenAPI document of the application, complete and valid; also of one that was made with `preview`. */
export function buildApiDocument(app: INestApplication): ApiDocument {
  const options = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('Kandev')
    .setDescription(DESCRIPTION)
    .setVersion(productVersion())
    .setLicense('Apache-2.0', 'https://www.apache.org/licenses/LICENSE-2.0')
    .addServer('/', 'The server that this document comes from.')
    .addBearerAuth({
      type: 'http',
      scheme: 'bearer',
      bearerFormat: 'JWT',
      description: 'The access token of a sign-in.',
    })
    .addBearerAuth({ type: 'http', scheme: 'bearer', description: 'An API key, in the same header.' }, 'api_key')
    .build();
  // Through JSON: parts of what comes back are shared, and what is changed here must not appear elsewhere.
  const document = JSON.parse(JSON.stringify(SwaggerModule.createDocument(app, options))) as ApiDocument;
  complete(document);
  return document;
}

/** Serves the document at `/api/v1/openapi.json` and Swagger UI at `/docs`. */
export function setUpApiDocument(app: INestApplication): void {
  let document: ApiDocument | undefined;
  SwaggerModule.setup('docs', app, () => (document ??= buildApiDocument(app)) as never, {
    jsonDocumentUrl: 'api/v1/openapi.json',
    raw: ['json'],
    swaggerOptions: { persistAuthorization: true },
  });
}

function complete(document: ApiDocument): void {
  delete document.info.contact; // the builder's own, and empty
  const operations = operationsOf(document);
  for (const schema of Object.values(document.components.schemas)) makePlain(schema);
  document.components.headers = RATE_LIMIT_HEADERS;
  for (const operation of operations) {
    operation.security = securityOf(operation);
    for (const { schema } of mediaTypes(operation)) if (schema) makePlain(schema);
    for (const { name, schema } of operation.parameters ?? []) if (schema) makePlain(schema, name);
    for (const { headers = {} } of Object.values(operation.responses)) {
      for (const { schema } of Object.values(headers) as { schema?: Schema }[]) if (schema) makePlain(schema);
    }
  }
  for (const path of Object.values(document.paths)) {
    for (const [method, operation] of Object.entries(path)) completeProblems(operation, method !== 'get');
  }
  document.components.examples = problemExamples(operations);
  for (const operation of operations) exemplify(document, operation);
  const used = new Set(operations.flatMap(({ tags = [] }) => tags));
  const known = Object.entries(TAGS).filter(([name]) => used.has(name));
  document.tags = known.map(([name, description]) => ({ name, description }));
}

/** Where an access token is asked for, an API key does too; unless the operation says that a person has to sign in. */
function securityOf(operation: Operation): Record<string, string[]>[] {
  if (!operation.security?.length) return [];
  return asksForSession(operation) ? [{ bearer: [] }] : [{ bearer: [] }, { api_key: [] }];
}

function mediaTypes({ requestBody, responses }: Operation) {
  const contents = [requestBody?.content, ...Object.values(responses).map(({ content }) => content)];
  return contents.flatMap((content) => Object.values(content ?? {}));
}

/** Bodies of requests and answers get an example where none is written. */
function exemplify(document: ApiDocument, operation: Operation): void {
  for (const media of mediaTypes(operation)) {
    if (media.example !== undefined || media.examples !== undefined || media.schema?.format === 'binary') continue;
    const example = exampleOf(document, media.schema);
    if (example !== undefined) media.example = example;
  }
}
