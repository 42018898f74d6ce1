import { join } from 'node:path';
import { ROOT } from '../setup/index.mjs';
import { runCommand } from '../test/run-command.mjs';

/** Nothing is to be asked or told over the network. */
const OFFLINE = { REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' };

/**
 * Checks an API document by .redocly.yaml and .spectral.yaml; the findings go to our output.
 *
 * @param {string} document path of the file
 * @returns {Promise<boolean>} whether anything was found
 */
export async function lintDocument(document) {
  const redocly = ['lint', '--config', join(ROOT, '.redocly.yaml'), '--max-problems', '1000', document];
  const spectral = ['lint', '--ruleset', join(ROOT, '.spectral.yaml'), '--fail-severity', 'hint', document];
  const codes = [await runCommand('redocly', redocly, OFFLINE), await runCommand('spectral', spectral, OFFLINE)];
  return codes.some((code) => code !== 0);
}
