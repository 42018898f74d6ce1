import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';

const DESCRIPTION = `Runs AI coding agents for the tasks on kanban boards, and streams what they do.

Sign in with \`POST /api/v1/auth/login\` and send \`Authorization: Bearer <access_token>\`.
Errors are \`application/problem+json\` with a stable \`code\`.
Streams: Socket.IO namespace \`/acp\`, WebSocket at \`/api/v1/orchestrator/tasks/{taskId}/stream\` and
\`/api/v1/orchestrator/stream\`.`;

/** Serves the OpenAPI document at `/api/v1/openapi.json` and Swagger UI at `/docs`. */
export function setUpApiDocument(app: INestApplication): void {
  const options = new DocumentBuilder()
    .setTitle('Kandev')
    .setDescription(DESCRIPTION)
    .setVersion('1')
    .setLicense('Apache-2.0', 'https://www.apache.org/licenses/LICENSE-2.0')
    .addBearerAuth()
    .build();
  SwaggerModule.setup('docs', app, () => SwaggerModule.createDocument(app, options), {
    jsonDocumentUrl: 'api/v1/openapi.json',
    raw: ['json'],
    swaggerOptions: { persistAuthorization: true },
  });
}
