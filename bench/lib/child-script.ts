import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { ROOT } from './build.js';
import { cleanUpLater } from './interrupt.js';
import { NODE_FLAGS } from './world.js';

/** A script of the bench as a process of its own: it is asked and answers, one question at a time. */
export class ChildScript {
  /** Ends it; safe to call again. */
  readonly stop: () => Promise<void>;

  private constructor(private readonly child: ChildProcess) {
    this.stop = cleanUpLater(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGKILL'); // it keeps nothing that would have to be put away
      await gone;
    });
  }

  /** `file` is below `bench/`; it answers through {@link answerQuestions}. */
  static start(file: string, nodeFlags: readonly string[] = []): ChildScript {
    const flags = ['--experimental-transform-types', '--disable-warning=ExperimentalWarning'];
    const execArgv = [...NODE_FLAGS, ...nodeFlags, ...flags, '--import', join(ROOT, 'bench/lib/ts-imports.mjs')];
    return new ChildScript(fork(join(ROOT, 'bench', file), { execArgv, serialization: 'advanced' }));
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** @throws Error with what the script has thrown, or when it ends instead */
  async ask<Answer>(question: unknown): Promise<Answer> {
    const ended = new AbortController();
    const gone = once(this.child, 'exit', { signal: ended.signal }).then(() => {
      throw new Error('a script of the bench has ended');
    });
    gone.catch(() => undefined);
    const heard = once(this.child, 'message', { signal: ended.signal });
    heard.catch(() => undefined);
    this.child.send(question as object);
    try {
      const [reply] = (await Promise.race([heard, gone])) as [{ error?: string; answer: Answer }];
      if (reply.error !== undefined) throw new Error(reply.error);
      return reply.answer;
    } finally {
      ended.abort();
    }
  }
}

/** The script's side of it; `answer` knows what it may be asked. */
export function answerQuestions(answer: (question: never) => Promise<unknown>): void {
  process.on('message', (question) => {
    answer(question as never).then(
      (found) => process.send?.({ answer: found }),
      (error: unknown) => process.send?.({ error: error instanceof Error ? (error.stack ?? '') : String(error) }),
    );
  });
  process.on('disconnect', () => process.exit()); // whoever asks is gone
}
