import { execFile } from 'node:child_process';

/** Seconds that a tool may take: a check of a large file system that was cut off takes a minute or two. */
const DEADLINE_SECONDS = 300;
const MAX_OUTPUT = 4 * 1024 ** 2; // complaints about files that went while `du` looked

/** System tools lie where a user's path often does not lead; and nothing of the server's own is theirs to know. */
const ENVIRONMENT = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };

/** How a program of the host ended. A code of -1: it could not be started, or took too long. */
export interface ToolResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a program of the host to its end; never throws. */
export function tryTool(program: string, args: readonly string[], seconds = DEADLINE_SECONDS): Promise<ToolResult> {
  const options = { env: ENVIRONMENT, timeout: seconds * 1000, killSignal: 'SIGKILL', maxBuffer: MAX_OUTPUT } as const;
  return new Promise((resolve) => {
    execFile(program, args, options, (error, stdout, stderr) => {
      resolve({ code: error ? (typeof error.code === 'number' ? error.code : -1) : 0, stdout, stderr });
    });
  });
}

/** The same for one that has to succeed. @throws Error with what it said */
export async function runTool(program: string, args: readonly string[], seconds = DEADLINE_SECONDS): Promise<string> {
  const { code, stdout, stderr } = await tryTool(program, args, seconds);
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${(stderr || stdout).trim().slice(0, 500)}`);
  return stdout;
}
