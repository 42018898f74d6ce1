// What a prompt wants: its own script, else that of the environment, else an echo.

const MARK = 'test-agent:';

/**
 * @param {import('@agentclientprotocol/sdk').ContentBlock[]} prompt
 * @param {number} nth of its session, from 1
 * @returns {object[]} steps, see README.md
 */
export function scriptOf(prompt, nth) {
  const text = prompt.map((block) => (block.type === 'text' ? block.text : `[${block.type}]`)).join('\n');
  const own = text
    .split('\n')
    .map((line) => line.trim())
    .findLast((line) => line.startsWith(MARK));
  if (own) return JSON.parse(own.slice(MARK.length));
  const { TEST_AGENT_SCRIPT: script } = process.env;
  /** @type {object[][]} one for each prompt; the last one serves for all further ones */
  const scripts = script ? JSON.parse(script) : [];
  return scripts[Math.min(nth, scripts.length) - 1] ?? [{ say: `You said: ${text}` }];
}
