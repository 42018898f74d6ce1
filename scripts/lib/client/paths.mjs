import { join } from 'node:path';
import { ROOT } from '../setup/index.mjs';

/** The package of the TypeScript client. */
export const CLIENT = join(ROOT, 'clients/typescript');
