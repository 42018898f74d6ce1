import { sumOf } from './sum-of.js';
import { sessionRows } from './session-rows.js';
import type { CheckEvidence, CheckRow, TrialRun, Verdict } from './image-check.types.js';

const SIGKILLED = 137;
/** Slower than this people wonder whether anything happens. */
const SLOW_START_MS = 5_000;

/** The table of what holds, from what was seen. Pure. */
export function checkRows(evidence: CheckEvidence): CheckRow[] {
  const rows: CheckRow[] = [];
  const add = (check: string, promise: string, [outcome, detail, code]: Verdict): void => {
    rows.push({ check, promise, outcome, detail, code: code ?? null });
  };
  const { target, image, whole, stopped } = evidence;
  add('image.present', 'The image is there, or can be pulled', imageThere(evidence));
  if (!image) return rows;
  add('image.command', 'It names a command', command(evidence));
  add('image.user', 'It names a user that is not root', user(image.user));
  add('image.labels', 'Labels tell its name and version', labels(image.labels));
  if (!whole) return rows;
  const network = target.network === 'none' ? ', no network' : '';
  add('start.confined', `It starts as a stranger: no root, no capability, read-only root${network}`, confined(whole));
  add('start.begun', 'Its command can be executed', begun(whole));
  if (!whole.begun) return rows;
  add('root.read_only', 'It survives a root that can not be written', readOnly(whole));
  if (whole.session) rows.push(...sessionRows(target, whole, stopped));
  else {
    add('output.first', 'It says something soon', first(whole));
    add('output.messages', 'What it says are messages', messages(whole));
    add('finish.result', 'It ends by itself, with a result', finish(evidence, whole));
  }
  add('memory.peak', 'It lives within its memory', memory(evidence, whole));
  if (stopped) add('stop.sigterm', 'It ends on SIGTERM', sigterm(stopped));
  if (target.network === 'none')
    add('network.none', 'It gets by without a network', withoutNetwork(target.protocol, whole));
  return rows;
}

function imageThere({ image, image_error, image_digest, target }: CheckEvidence): Verdict {
  if (!image) return ['fail', image_error ?? `There is no image ${target.image_name}.`];
  const size = `${Math.round(image.size_bytes / 1e6)} MB`;
  return ['pass', image_digest ? `${size}, ${image_digest}` : `${size}, built on this host: no registry knows it`];
}

function command({ image, target }: CheckEvidence): Verdict {
  if (target.command) return ['pass', `the agent type's: ${target.command.join(' ')}`];
  if (image && image.command.length > 0) return ['pass', image.command.join(' ')];
  return ['fail', 'Neither ENTRYPOINT nor CMD, and the agent type names none. Add CMD ["…"].'];
}

function user(name: string): Verdict {
  const isRoot = name === '' || /^(root|0)(:|$)/.test(name);
  if (isRoot) return ['warn', 'Root. Kandev runs it under a uid of its own all the same; add USER for everybody else.'];
  return ['pass', name];
}

function labels(all: Record<string, string>): Verdict {
  const wanted = ['org.opencontainers.image.title', 'org.opencontainers.image.version', 'io.kandev.agent.protocol'];
  const missing = wanted.filter((name) => !all[name]);
  if (missing.length === 0) return ['pass', wanted.map((name) => all[name]).join(', ')];
  return ['warn', `Missing: ${missing.join(', ')}.`];
}

function confined({ launch_error, differences, uid }: TrialRun): Verdict {
  if (differences.length > 0) return ['fail', differences.join('; ')];
  if (uid === null && launch_error) return ['fail', launch_error];
  return ['pass', `uid ${uid ?? 'unknown'}, everything as asked`];
}

function begun({ begun: ran, launch_error }: TrialRun): Verdict {
  return ran ? ['pass', 'executed'] : ['fail', launch_error ?? 'It was not executed.'];
}

function readOnly({ output }: TrialRun): Verdict {
  const [complaint] = output.read_only_complaints;
  if (complaint === undefined) return ['pass', 'no complaint'];
  return ['warn', `It said: ${complaint}. Writable are /workspace, $HOME, /tmp and /run/kandev.`];
}

function first({ first_output_ms: ms }: TrialRun): Verdict {
  if (ms === null) return ['warn', 'It said nothing at all: nobody could tell whether it works.'];
  return ms <= SLOW_START_MS ? ['pass', `after ${ms} ms`] : ['warn', `after ${(ms / 1000).toFixed(1)} s`];
}

function messages({ output }: TrialRun): Verdict {
  const { stdout_lines, stderr_lines, broken, broken_example, json_rpc } = output;
  const count = sumOf(output.messages);
  const kinds = Object.entries(output.messages).map(([type, n]) => `${n} ${type}`);
  if (broken > 0) return ['fail', `${broken} lines look like messages and are none, such as: ${broken_example ?? ''}`];
  const rest = `${stdout_lines - count} other lines on stdout and ${stderr_lines} on stderr become log messages`;
  if (count === 0 && json_rpc > 0)
    return ['warn', `None; ${json_rpc} lines are JSON-RPC. Is its protocol agent-client-protocol?`];
  if (count === 0) return ['warn', `None; ${rest}. People see text, but no progress and no result.`];
  return ['pass', `${kinds.join(', ')}; ${rest}`];
}

function finish({ target }: CheckEvidence, { output, exit }: TrialRun): Verdict {
  const code = exit?.exit_code ?? null;
  if (exit === null) return ['fail', `It had not ended after ${target.patience_seconds} s.`];
  if (exit.oom_killed && code !== 0) return ['fail', 'It was killed for using more memory than its limit.'];
  if (output.result_status !== null) return ['pass', `result ${output.result_status}, exit code ${code ?? 'unknown'}`];
  if (code === 0)
    return ['warn', 'No result; exit code 0 counts as completed. A result would tell people what was done.'];
  return ['fail', `No result, exit code ${code ?? 'unknown'}.`];
}

function memory({ target }: CheckEvidence, { memory_peak_bytes: peak }: TrialRun): Verdict {
  const limit = target.limits.memory_limit ?? 'no limit';
  if (peak === null) return ['skip', 'It ended before anybody could look.'];
  return ['pass', `at least ${Math.ceil(peak / 1024 ** 2)} MiB of ${limit}`];
}

function sigterm({ stop_ms, exit, begun: ran, launch_error }: TrialRun): Verdict {
  if (!ran) return ['fail', launch_error ?? 'It could not be started a second time.'];
  if (stop_ms === null || exit === null) return ['skip', 'It had ended by itself before it could be asked to.'];
  if (exit.exit_code === SIGKILLED)
    return ['fail', `It had to be killed after ${(stop_ms / 1000).toFixed(1)} s. Handle SIGTERM.`];
  return ['pass', `after ${stop_ms} ms, exit code ${exit.exit_code ?? 'unknown'}`];
}

function withoutNetwork(protocol: string | null, { exit, output }: TrialRun): Verdict {
  if (protocol === 'agent-client-protocol')
    return ['skip', 'Such agents need their model; name its host in allowed_hosts.'];
  if (exit?.exit_code === 0 || output.result_status !== null) return ['pass', 'It had none.'];
  return ['warn', 'It had none, and it did not end well. If it needs hosts, name them in allowed_hosts.'];
}
