import { World } from '../../stream/world.js';
import type { Context, Scenario } from '../../scenario.js';
import { commandsOf, told, type Command } from '../model/commands.js';
import { Differs, Lockstep } from '../model/lockstep.js';
import type { Finding } from '../verdict.js';

const STEPS = 400;
const QUICK_STEPS = 20;

/** Where these commands end otherwise than the model says, in a world of their own; undefined: nowhere. */
async function differsAt(commands: readonly Command[]): Promise<Differs | undefined> {
  const world = World.open();
  try {
    await (await Lockstep.open(world)).run(commands, () => undefined);
    return undefined;
  } catch (error) {
    if (error instanceof Differs) return error;
    throw error;
  } finally {
    await world.close();
  }
}

/** A shorter list that goes wrong as well: up to the step, of the one task alone, and without kills; as far as that does. */
async function shrink(commands: readonly Command[], found: Differs): Promise<{ commands: Command[]; found: Differs }> {
  let best = { commands: commands.slice(0, found.step + 1), found };
  const { slot } = best.commands.at(-1)!;
  for (const simpler of [
    (all: Command[]) => all.filter((command) => command.slot === slot),
    (all: Command[]) => all.map((command) => ({ ...command, crash: false })),
    (all: Command[]) => all.slice(Math.floor(all.length / 2)),
  ]) {
    const tried = simpler(best.commands);
    const again = tried.length > 0 ? await differsAt(tried) : undefined;
    if (again) best = { commands: tried.slice(0, again.step + 1), found: again };
  }
  return best;
}

async function compare({ world, random, quick, step }: Context): Promise<Finding> {
  const commands = commandsOf(random, quick ? QUICK_STEPS : STEPS);
  const lockstep = await Lockstep.open(world);
  try {
    await lockstep.run(commands, step);
  } catch (error) {
    if (!(error instanceof Differs)) throw error;
    step(`${error.message}; looking for a shorter way there`);
    const shorter = await shrink(commands, error);
    throw new Error(`${shorter.found.message}, after:\n${shorter.commands.map(told).join('\n')}`, { cause: error });
  }
  return lockstep.trial.judge(`${commands.length} steps, ${lockstep.kills} kills`);
}

export const model: Scenario<Finding> = {
  name: 'model',
  about: 'random commands, ends of agents and kills, compared with a simple model after each',
  run: compare,
};
