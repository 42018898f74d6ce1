import { isDeepStrictEqual } from 'node:util';
import { docker } from '../../../support/containers.js';
import type { RunStatusBody } from '../../../support/test-user.js';
import { until } from '../../../support/until.js';
import type { World } from '../../stream/world.js';
import { DOES } from '../agent.js';
import { DispatchTrial } from '../trial.js';
import { told, type Command } from './commands.js';
import { MAX_ATTEMPTS, Model, PLACES, type Expected } from './model.js';

const SETTLE_MS = 60_000; // a heartbeat, a back-off and a start of an agent, on a machine at its limit
const SLOW_MS = 10_000; // worth a line: something was not told, and found by a poll

/** The server is not as the model says. */
export class Differs extends Error {
  constructor(
    readonly step: number,
    what: string,
  ) {
    super(`step ${step + 1}: ${what}`);
  }
}

/** Does the commands to a real server and to the model, one by one, and compares them after each. */
export class Lockstep {
  private readonly model = new Model();
  private readonly ids: (string | null)[] = [];
  /** Times that the server was killed. */
  kills = 0;

  private constructor(readonly trial: DispatchTrial) {}

  static async open(world: World): Promise<Lockstep> {
    const settings = {
      ...{ KANDEV_MAX_CONCURRENT_RUNS: String(PLACES), KANDEV_RETRY_MAX_ATTEMPTS: String(MAX_ATTEMPTS) },
      KANDEV_RETRY_BACKOFF_SECONDS: '1',
    };
    return new Lockstep(await DispatchTrial.open(world, settings));
  }

  /** @throws Differs */
  async run(commands: readonly Command[], tell: (text: string) => void): Promise<void> {
    for (const [step, command] of commands.entries()) {
      const before = this.model.tasks[command.slot]?.run?.state;
      const expected = this.model.apply(command, Date.now());
      const status = expected === undefined ? undefined : await this.perform(command, before);
      if (status !== expected) throw new Differs(step, `${told(command)} was answered ${status}, not ${expected}`);
      if (command.crash) {
        await this.trial.server.kill();
        await this.trial.server.start();
        this.kills++;
      }
      const begun = Date.now();
      await this.settle(step, command);
      if (Date.now() - begun > SLOW_MS)
        tell(`step ${step + 1}, ${told(command)}: settled after ${Date.now() - begun} ms`);
      if ((step + 1) % 25 === 0) tell(`${step + 1} of ${commands.length} steps`);
    }
    for (const id of this.ids) if (id) await this.trial.stop(id, { force: true });
    await this.trial.allEnded();
  }

  private async perform({ kind, slot, priority, column }: Command, before?: string): Promise<number> {
    const { admin, board } = this.trial;
    const id = this.ids[slot] ?? '';
    const control = (what: string, body: object = {}) => admin.post(`/orchestrator/tasks/${id}/${what}`, body);
    switch (kind) {
      case 'create': {
        const fields = { title: 'A task', description: DOES.wait, agent_type: 'agent', priority: 5 };
        const answer = await admin.post<{ id: string }>(`/boards/${board}/tasks`, fields);
        this.ids[slot] = answer.body.id;
        return answer.status;
      }
      case 'start':
        return (await control('start', { priority })).status;
      case 'force':
        return (await admin.post('/orchestrator/trigger', { task_id: id, force: true })).status;
      case 'stop':
      case 'kill_by_force':
        return (await control('stop', { force: kind === 'kill_by_force' })).status;
      case 'pause':
      case 'resume':
        return (await control(kind)).status;
      case 'move':
        return (await admin.patch(`/tasks/${id}/state`, { state: column })).status;
      case 'delete': {
        const { status } = await admin.delete(`/tasks/${id}`);
        if (status === 204) this.ids[slot] = null;
        return status;
      }
      default:
        await this.agent(kind, id, before);
        return 0;
    }
  }

  private async agent(kind: string, id: string, before?: string): Promise<void> {
    if (before !== 'RUNNING') throw new Error(`there is no agent at work: ${before}`);
    if (kind !== 'agent_vanishes') return this.trial.endAgent(id, kind === 'agent_completes' ? 0 : 3);
    const { agent_id } = await this.trial.reached(id, 'RUNNING');
    await docker.getContainer(`kandev-${agent_id}`).remove({ force: true });
  }

  /** Waits until every task shows what the model says. @throws Differs */
  private async settle(step: number, command: Command): Promise<void> {
    const expected = this.model.expected();
    let found: (Expected | null)[] = [];
    const same = async (): Promise<boolean> => {
      found = await Promise.all(this.ids.map((id) => this.shown(id)));
      return expected.every((one, slot) => isDeepStrictEqual(one, found[slot] ?? null));
    };
    await until('the server to be as the model', same, SETTLE_MS).catch((error: unknown) => {
      const wrong = expected.flatMap((one, slot) =>
        isDeepStrictEqual(one, found[slot] ?? null)
          ? []
          : [`task ${slot} is ${JSON.stringify(found[slot])}, not ${JSON.stringify(one)}`],
      );
      throw new Differs(step, `after ${told(command)} ${wrong.join('; ') || String(error)}`);
    });
  }

  private async shown(id: string | null): Promise<Expected | null> {
    if (id === null) return null;
    const { admin } = this.trial;
    const status = await admin.must<RunStatusBody & { state: string; attempt: number | null }>(
      200,
      'GET',
      `/orchestrator/tasks/${id}/status`,
    );
    return { state: status.state, run_state: status.run_state, attempt: status.attempt } as Expected;
  }
}
