import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

/** The directory of package.json. */
export const ROOT = resolve(import.meta.dirname, '../..');

/** A built tree: what is measured. */
export class Build {
  private constructor(readonly directory: string) {}

  /** The build in `dist`, or in another directory, to compare two of them. */
  static at(directory = join(ROOT, 'dist')): Build {
    return new Build(resolve(directory));
  }

  get main(): string {
    return join(this.directory, 'src/main.js');
  }

  /** Imports a built module; `path` is that of the source, without its ending. */
  async import<T>(path: string): Promise<T> {
    return (await import(pathToFileURL(join(this.directory, `${path}.js`)).href)) as T;
  }
}
