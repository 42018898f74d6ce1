import { applyDecorators } from '@nestjs/common';
import { ApiHeader, ApiOkResponse } from '@nestjs/swagger';

const TASK = '019ac1a5-7c1e-7000-8000-000000000004';
const MESSAGE = JSON.stringify({
  ...{ type: 'progress', timestamp: '2026-01-09T10:30:15.000Z', agent_id: '019ac1a5-7c1e-7000-8000-000000000003' },
  ...{ task_id: TASK, run_id: '019ac1a5-7c1e-7000-8000-000000000005', seq: 42 },
  data: { progress: 45, message: 'Running the tests' },
});

/** Documents the answer of a stream: `id` is what an event of it is called, `first` what comes before all messages. */
export function ApiEventStream(id: string, first = ''): MethodDecorator {
  return applyDecorators(
    ApiHeader({
      name: 'Last-Event-ID',
      description: 'The id of the last event that you have; goes before `after`. EventSource sends it by itself.',
      required: false,
      schema: { type: 'string', example: id },
    }),
    ApiOkResponse({
      description:
        'Messages as they come, each with an id, until you or the server end it. The server says `reset`, `heartbeat` ' +
        'and `end` as events of those names.',
      content: {
        'text/event-stream': {
          schema: { type: 'string' },
          example: `retry: 2000\n\n${first}id: ${id}\ndata: ${MESSAGE}\n\nevent: heartbeat\ndata: {"timestamp":"2026-01-09T10:30:30.000Z"}\n\n`,
        },
      },
    }),
  );
}

/** Of the global stream. */
export const GLOBAL_ID = `${TASK}:42`;
export const SUBSCRIBED = `id: ${TASK}:41\nevent: subscribed\ndata: {"subscribed":[{"task_id":"${TASK}","head_seq":41}],"denied":[]}\n\n`;
