/** Places where the fault tests end the process, as a power cut would. Between each two of them rows or files change. */
export const FAULT_POINTS = [
  'run.claimed',
  'task.dispatched',
  'agent.row_created',
  'disk.prepared',
  'workspace.cloned',
  'workspace.in_place',
  'run_directory.prepared',
  'credentials.granted',
  'image.resolved',
  'container.created',
  'container.recorded',
  'container.started',
  'container.verified',
  'container.begun',
  'agent.running',
  'output.read',
  'output.stored',
  'agent.exited',
  'artifacts.collected',
  'agent.ended',
  'container.removed',
  'credentials.revoked',
  'disk.released',
  'run.ended',
  'task.ended',
  'outbox.handled',
] as const;
/** The same, passed only where a disk is a file system of its own. */
export const DISK_FAULT_POINTS = [
  'disk.formatted',
  'disk.made',
  'disk.mounted',
  'disk.resized',
  'disk.unmounted',
] as const;
/** The same, passed only where somebody pauses a run or lets it go on. */
export const HOLD_FAULT_POINTS = ['run.hold_recorded', 'agent.holding', 'agent.held'] as const;
/** The same, passed with every batch of output, and where a reader of a stream goes over from catching up to live. */
export const STREAM_FAULT_POINTS = ['output.committing', 'output.committed', 'stream.seam'] as const;
/** The same, passed only where an agent speaks the Agent Client Protocol. */
export const DIALOGUE_FAULT_POINTS = [
  'dialogue.opened',
  'dialogue.stepped',
  'dialogue.sending',
  'dialogue.sent',
] as const;
/** The same, passed only where a workspace goes, or comes back. */
export const WORKSPACE_FAULT_POINTS = [
  'workspace.removing',
  'rescue.kept',
  'rescue.recorded',
  'workspace.disk_removed',
  'restore.begun',
  'restore.in_place',
] as const;
export type FaultPoint =
  | (typeof WORKSPACE_FAULT_POINTS)[number]
  | (typeof FAULT_POINTS)[number]
  | (typeof DISK_FAULT_POINTS)[number]
  | (typeof HOLD_FAULT_POINTS)[number]
  | (typeof STREAM_FAULT_POINTS)[number]
  | (typeof DIALOGUE_FAULT_POINTS)[number];

const KNOWN: readonly string[] = [
  ...FAULT_POINTS,
  ...DISK_FAULT_POINTS,
  ...HOLD_FAULT_POINTS,
  ...STREAM_FAULT_POINTS,
  ...DIALOGUE_FAULT_POINTS,
  ...WORKSPACE_FAULT_POINTS,
];
/** What a setting may say, see {@link armFaultPoint}. */
const SETTING = /^([^@:]+)(?:@(.+?))?(?::(\d+))?(?::(freeze))?$/s;
let armed: { point: string; about: string; left: number; signal: NodeJS.Signals } | undefined;

/**
 * For tests: ends the process with SIGKILL when the point is reached for the `n`-th time (`"output.stored:3"`), or
 * freezes it there with SIGSTOP, until somebody sends it SIGCONT (`"output.stored:3:freeze"`). Only what is about a text
 * counts where one is given (`"dialogue.sent@session/prompt:3"`: the third prompt).
 */
export function armFaultPoint(setting: string | undefined): void {
  if (!setting) return;
  const [, point = setting, about = '', times = '1', freeze] = SETTING.exec(setting) ?? [];
  if (!KNOWN.includes(point)) throw new Error(`KANDEV_FAULT_POINT: there is no point ${point}`);
  armed = { point, about, left: Number(times), signal: freeze ? 'SIGSTOP' : 'SIGKILL' };
}

/** Nothing, unless this very point was armed. `about` is what is being done there, where a test may want to tell. */
export function faultPoint(point: FaultPoint, about: () => string = () => ''): void {
  if (armed?.point !== point || !about().includes(armed.about) || --armed.left > 0) return;
  const { signal } = armed;
  armed = undefined; // one that was frozen and woken goes on
  process.kill(process.pid, signal);
}
