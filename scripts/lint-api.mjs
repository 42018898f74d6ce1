#!/usr/bin/env node
/** `npm run lint:api`: Redocly and Spectral on the client's API document. A warning is a fault. */
import { join } from 'node:path';
import { lintDocument } from './lib/client/lint.mjs';
import { CLIENT } from './lib/client/paths.mjs';

process.exitCode = (await lintDocument(join(CLIENT, 'openapi.json'))) ? 1 : 0;
