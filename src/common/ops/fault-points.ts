/** Places where the fault tests end the process, as a power cut would. Between each two of them rows or files change. */
export const FAULT_POINTS = [
  'run.claimed',
  'task.dispatched',
  'agent.row_created',
  'workspace.cloned',
  'workspace.in_place',
  'run_directory.prepared',
  'image.resolved',
  'container.created',
  'container.recorded',
  'container.started',
  'agent.running',
  'output.read',
  'output.stored',
  'agent.exited',
  'artifacts.collected',
  'agent.ended',
  'container.removed',
  'run.ended',
  'task.ended',
  'outbox.handled',
] as const;
export type FaultPoint = (typeof FAULT_POINTS)[number];

let armed: { point: string; left: number } | undefined;

/** For tests: ends the process with SIGKILL when the point is reached for the `n`-th time (`"output.stored:3"`). */
export function armFaultPoint(setting: string | undefined): void {
  if (!setting) return;
  const [point = '', times = '1'] = setting.split(':');
  if (!(FAULT_POINTS as readonly string[]).includes(point))
    throw new Error(`KANDEV_FAULT_POINT: there is no point ${point}`);
  armed = { point, left: Number(times) };
}

/** Nothing, unless this very point was armed. */
export function faultPoint(point: FaultPoint): void {
  if (armed?.point !== point || --armed.left > 0) return;
  process.kill(process.pid, 'SIGKILL');
}
