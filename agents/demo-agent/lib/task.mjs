// The task as the container contract hands it over: environment first, then the task file beside the artifacts folder.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * @typedef {{task_id: string, agent_id: string, title: string, description: string, artifacts: string}} Task
 * `artifacts` is the absolute path of the folder for artifacts.
 */

/**
 * @param {NodeJS.ProcessEnv} env
 * @returns {Task} unknown parts are empty; the server knows the ids better than the agent
 */
export function readTask(env) {
  const artifacts = env.KANDEV_ARTIFACTS_DIR || '/run/kandev/artifacts';
  const file = readJson(join(dirname(artifacts), 'task.json'));
  const value = (name, key) => String(env[name] || file[key] || file[`task_${key}`] || '');
  return {
    task_id: value('KANDEV_TASK_ID', 'task_id'),
    agent_id: value('KANDEV_AGENT_ID', 'agent_id'),
    title: value('KANDEV_TASK_TITLE', 'title'),
    description: value('KANDEV_TASK_DESCRIPTION', 'description'),
    artifacts,
  };
}

function readJson(path) {
  try {
    const value = JSON.parse(readFileSync(path, 'utf8'));
    return value !== null && typeof value === 'object' ? value : {};
  } catch {
    return {};
  }
}
