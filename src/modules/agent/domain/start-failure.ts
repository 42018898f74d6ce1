/** Why a command that was begun did not run. Of the run directory: no more than a hint for a person. */
export interface StartFailure {
  /** `exec`: the command itself; else what was to be put in place before it. */
  step: 'exec' | 'bridge' | 'redirect';
  /** The kernel's name of the error, such as `ENOENT`. */
  errno: string;
  /** The command, or what was to be put in place. */
  command: string;
  /** The file is there; with `ENOENT` it is its interpreter or loader that is not. */
  found: boolean;
}

/** What the launcher ends with when its container is started a second time. */
export const STARTED_BEFORE = 75;
/** After the words "ended with exit code 75". */
export const STARTED_AGAIN =
  'That is also how a container ends that somebody starts a second time: an agent runs once.';

const LAUNCHER_FAILED = 125;
const NOT_FOUND = 127;
const SIGNALS = 128;
const MAX_COMMAND = 200; // of a message that people read

/** Whether the launcher ends so when it can't run a command. */
export function isStartFailure(code: number | null): boolean {
  return code !== null && code >= LAUNCHER_FAILED && code <= NOT_FOUND;
}

/** Whether the launcher may have ended so, and not the agent: who says that it never began is the run directory. */
export function canBeOfLauncher(code: number | null): boolean {
  return code === null || code === STARTED_BEFORE || code >= SIGNALS || isStartFailure(code);
}

/** Why a container ended before its agent's command was begun. */
export function neverBegan({ exit_code: code, error }: { exit_code: number | null; error?: string }): string {
  const because = error ? `: ${error}` : '';
  if (code === STARTED_BEFORE) return 'The container was started a second time from outside, so the agent was not run.';
  if (code === 137 || code === 143)
    return `The container was ended from outside before the agent's command was run (exit code ${code}).`;
  const ended = `The container ended before the agent's command was run (exit code ${code ?? 'unknown'})${because}.`;
  if (code === 126 || code === NOT_FOUND)
    return `${ended} Its first program could not be run: KANDEV_HOME may lie on a file system that is mounted noexec.`;
  return ended;
}

/** Why a command that was begun did not run. Told from a file that an agent can write: no more than its own words. */
export function notStarted({ step, errno, command, found }: StartFailure): string {
  const named = JSON.stringify(command.slice(0, MAX_COMMAND));
  if (step === 'bridge') return `The agent was not started: its way to the gateway could not be made (${errno}).`;
  if (step === 'redirect') return `The agent was not started: its output could not be directed to ${named} (${errno}).`;
  const cannot = `The command ${named} of the agent type can not be executed`;
  if (command === '') return 'The command of the agent type is empty.';
  if (errno === 'ENOENT' && found)
    return `${cannot}: the interpreter in its first line, or its loader, is not in the image.`;
  if (errno === 'ENOENT' || errno === 'ENOTDIR') return `The command ${named} of the agent type is not in the image.`;
  if (errno === 'EACCES') return `${cannot}: the agent's user may not. Make it executable for everybody in the image.`;
  if (errno === 'EISDIR') return `${cannot}: it is a directory.`;
  if (errno === 'ENOEXEC')
    return `${cannot}: it is no program for this processor, and no script with a first line such as #!/bin/sh.`;
  if (errno === 'E2BIG') return `${cannot}: its arguments and environment are too long together.`;
  return `${cannot} (${errno}).`;
}
