import { mkdir, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import type { LeftOut } from '../../domain/work-trees.js';
import { removeTree } from '../files/remove-tree.js';
import type { AgentRefs } from './agent-refs.js';
import type { Git } from './git.js';
import { Quarantine, TooManyObjects } from './object-quarantine.js';
import { ObjectTransfer, type Import, type Taken } from './object-transfer.js';
import { scratchDirectory } from './work-tree-ignores.js';
import { TooManyFiles } from './work-tree-walk.js';

/** What of an agent's refs is in our repository now, whole and checked. Annotated tags are what they tag. */
export interface Imported {
  refs: Map<string, string>;
  left_out: LeftOut[];
}

/**
 * Brings an agent's own commits into our repository. Its object files are copied into a quarantine by our code;
 * what hangs on its refs and is new to us is packed from there, and taken in as from a stranger: every object hashed,
 * checked, and all that it names present. A ref that fails is left out and named: what an agent wrote may be broken.
 * When it is the server that fails (no room, no time, git killed), nobody knows what the commits are worth.
 * @throws whatever the server has failed with; the signal's reason
 */
export async function importAgentCommits(git: Git, agent: AgentRefs, into: Import): Promise<Imported> {
  const tips = [...new Set(agent.refs.values())];
  const missing = await new ObjectTransfer(git, into, '').wanting(tips);
  let taken = new Map<string, Taken>();
  const left_out: LeftOut[] = agent.refused ? [{ path: '.git', bytes: 0, why: agent.refused }] : [];
  if (missing.length > 0) {
    await mkdir(scratchDirectory(into.home), { recursive: true, mode: 0o700 });
    const quarantine = await mkdtemp(join(scratchDirectory(into.home), 'objects-'));
    try {
      taken = await new Quarantine(git, into, quarantine).take(missing);
    } catch (error) {
      into.signal.throwIfAborted();
      if (!(error instanceof TooManyObjects || error instanceof TooManyFiles)) throw error;
      left_out.push({ path: '.git', bytes: 0, why: error.message });
    } finally {
      await removeTree(quarantine);
    }
  }
  const refused = new Set(missing.filter((tip) => taken.get(tip) !== 'taken'));
  const accepted = [...agent.refs].filter(([, sha]) => !refused.has(sha));
  const commits = await commitsOf(git, accepted, into);
  for (const [ref, sha] of agent.refs) {
    if (commits.has(ref)) continue;
    const why = taken.get(sha) === 'foreign' ? 'refers to what is not its own' : 'is broken or not whole';
    left_out.push({ path: `.git/${ref}`, bytes: 0, why: `commit ${sha} ${why}` });
  }
  return { refs: commits, left_out };
}

/** The commits of refs, as far as they are in our repository with everything that hangs on them. */
async function commitsOf(git: Git, refs: [string, string][], into: Import): Promise<Map<string, string>> {
  const kinds = await kindsOf(
    git,
    refs.map(([, sha]) => `${sha}^{commit}`),
    into,
  );
  const found = new Map<string, string>();
  refs.forEach(([ref], index) => {
    const sha = kinds[index];
    if (sha !== undefined) found.set(ref, sha);
  });
  return found;
}

/** The object that each name stands for; undefined for what is missing. */
async function kindsOf(git: Git, names: string[], { gitDir, signal }: Pick<Import, 'gitDir' | 'signal'>) {
  if (names.length === 0) return [];
  const { code, stdout, errors } = await git.run(['cat-file', '--batch-check=%(objectname)'], {
    ...{ gitDir, signal, stdin: `${names.join('\n')}\n`, stdout: 'collect' },
  });
  const answers = stdout.trimEnd().split('\n');
  if (code !== 0 || answers.length !== names.length) throw new Error(`git cat-file failed: ${errors}`);
  return answers.map((line) => (/^[0-9a-f]{40}$/.test(line) ? line : undefined));
}
