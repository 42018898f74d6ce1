/** What the API document says before it comes to single operations. */
export const DESCRIPTION = `Runs AI coding agents for the tasks on kanban boards, and streams what they do.

## Signing in
\`POST /api/v1/auth/register\` makes an account (the first one of a server is its administrator), \`POST /api/v1/auth/login\`
signs in. Both answer with an access token for \`Authorization: Bearer <access_token>\` and a refresh token, which
\`POST /api/v1/auth/refresh\` exchanges for a new pair, once. Scripts use an API key of \`POST /api/v1/api-keys\` in place of
the access token.

## Errors
Every error is \`application/problem+json\` (RFC 9457). Match on \`code\`, which is stable; \`detail\` is for people, \`errors\`
names the wrong fields of a 400, and \`correlation_id\` (also the header \`X-Correlation-Id\`, which you may send) finds the
request in the server's log. What does not exist and what you may not see are the same 404.

## Lists
\`limit\` (1 to 200, 50 by default) and \`offset\`, or \`cursor\` with the \`next_cursor\` of the page before: a cursor costs the
same however deep the page is, and neither skips nor repeats anything while the list changes. \`total\` is exact.

## Repeating a request
Requests that make or start something take an \`Idempotency-Key\`, any text of your own. Sent again within 24 hours with
the same body, it gives the first answer and changes nothing.

## Versions
What can be changed has a \`version\`, which is also its \`ETag\`. Send it as \`If-Match\` with a change, and the change is
made only if nobody else has made one meanwhile; else it is 412.

## Rate limits
\`RateLimit-Limit\`, \`RateLimit-Remaining\` and \`RateLimit-Reset\` (in seconds) tell where you stand; each user, each API key
and each address without a sign-in has a counter. Above the limit it is 429, with \`Retry-After\` in seconds.

## Streams
Socket.IO namespace \`/acp\`; WebSocket and Server-Sent Events at \`/api/v1/orchestrator/tasks/{taskId}/stream\` and
\`/api/v1/orchestrator/stream\`.`;

/** What operations are about, in the order in which pages show them. */
export const TAGS: Readonly<Record<string, string>> = {
  auth: 'Accounts, signing in, tokens.',
  users: 'The accounts of the server, for administrators.',
  'api keys': 'Keys that scripts use in place of a sign-in.',
  boards: 'Kanban boards.',
  members: 'Who may see and use a board: owners, editors, viewers.',
  tasks: 'The cards of a board: what agents are to do.',
  dependencies: 'What a task waits for.',
  orchestrator: 'Runs of tasks: starting, stopping, the queue.',
  runs: 'Runs of tasks, one by one.',
  sessions: 'What agents are asked to do, what they ask back, and what both go by.',
  hosts: 'Machines that agents run on.',
  budgets: 'What agents may use, and what they have used.',
  limits: 'How many runs may hold a place at once, and whose turn comes more often.',
  agents: 'Agent instances: what ran, or runs, for one attempt of a run.',
  'agent types': 'What agents are made of: image, limits, environment, capabilities.',
  changes: 'What agents have changed in a repository: diffs, commits, pushes.',
  workspaces: 'Checkouts on the disk of the server, and what was rescued from those that went.',
  output: 'What agents have said and produced: logs, messages, artifacts.',
  streams: 'What agents say, as they say it.',
  audit: 'Who did what, for administrators.',
};
