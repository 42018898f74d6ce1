/** Lets Node run TypeScript as it lies there: `./x.js` in an import means `./x.ts` where only that exists. */
import { existsSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';

registerHooks({
  resolve(specifier, context, next) {
    if (!specifier.startsWith('.') || !specifier.endsWith('.js') || !context.parentURL?.endsWith('.ts'))
      return next(specifier, context);
    const source = specifier.replace(/\.js$/, '.ts');
    return next(existsSync(fileURLToPath(new URL(source, context.parentURL))) ? source : specifier, context);
  },
});
