// The test agent: speaks the Agent Client Protocol by its official SDK, does what its prompts say, and misbehaves on
// demand. See README.md.
import { agent, methods, ndJsonStream } from '@agentclientprotocol/sdk';
import { Desk } from './lib/desk.mjs';
import { readQuirks } from './lib/quirks.mjs';
import { Wire } from './lib/wire.mjs';

const quirks = readQuirks();
if (quirks.ignore_sigterm) process.on('SIGTERM', () => {});
if (quirks.stderr_flood_bytes) process.stderr.write(`${'flood '.repeat(quirks.stderr_flood_bytes / 6)}\n`);
if (quirks.silent) setInterval(() => {}, 60_000);
else serve();

function serve() {
  const wire = new Wire(quirks);
  for (const line of quirks.noise_before ?? []) wire.writeRaw(`${line}\n`);
  const desk = new Desk(quirks, wire);
  const on = methods.agent;
  const app = agent({ name: 'test-agent' })
    .onRequest(on.initialize, () => desk.initialize())
    .onRequest(on.authenticate, ({ params }) => desk.authenticate(params))
    .onRequest(on.session.new, ({ params }) => desk.open(params))
    .onRequest(on.session.load, ({ params, client }) => desk.load(params, client))
    .onRequest(on.session.list, () => desk.list())
    .onRequest(on.session.setMode, ({ params, client }) => desk.setMode(params, client))
    .onRequest(on.session.prompt, ({ params, client }) => desk.prompt(params, client))
    .onNotification(on.session.cancel, ({ params }) => desk.cancel(params));
  const connection = app.connect(ndJsonStream(wire.writable, wire.readable));
  void connection.closed.then(() => process.exit(0)); // its input has ended
}
