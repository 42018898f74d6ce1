import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import 'reflect-metadata';
import { DIST } from '../setup/index.mjs';

const METHODS = ['get', 'head', 'post', 'put', 'patch', 'delete', 'options', 'trace'];

/**
 * The API document of the built server, which is neither started nor connected to anything. Sorted, so that it changes
 * only where the API does.
 *
 * @returns {Promise<object>}
 */
export async function buildDocument() {
  const home = mkdtempSync(join(tmpdir(), 'kandev-document-'));
  try {
    const built = (path) => import(join(DIST, 'src', path));
    const { createApp } = await built('app.setup.js');
    const { loadConfig } = await built('common/config/config.js');
    const { buildApiDocument } = await built('common/http/api-document/api-document.js');
    const config = loadConfig({ KANDEV_HOME: home, LOG_LEVEL: 'silent' });
    const app = await createApp(config, 'postgres://nowhere/none', { preview: true });
    return sorted(buildApiDocument(app));
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

function sorted(document) {
  const paths = byKey(document.paths);
  for (const path of Object.keys(paths)) {
    paths[path] = Object.fromEntries(METHODS.filter((m) => m in paths[path]).map((m) => [m, paths[path][m]]));
  }
  const { openapi, info, servers, tags, components } = document;
  return {
    ...{ openapi, info, servers, tags, paths },
    components: Object.fromEntries(Object.entries(byKey(components)).map(([kind, parts]) => [kind, byKey(parts)])),
  };
}

const byKey = (object) => Object.fromEntries(Object.entries(object).toSorted(([a], [b]) => (a < b ? -1 : 1)));
