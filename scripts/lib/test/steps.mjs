/**
 * Every step of `npm test`, in its order. `npm` steps are scripts of package.json and count as one check each;
 * `vitest` steps are projects of vitest.config.ts and count by their tests.
 */
export const STEPS = [
  { name: 'lint', npm: 'lint', about: 'oxlint, with type information' },
  { name: 'format', npm: 'format', about: 'prettier' },
  { name: 'types', npm: 'types', about: 'tsc, strict' },
  { name: 'deps', npm: 'deps', about: 'dependency rules between modules and layers' },
  { name: 'build', about: 'dist, as it ships' },
  { name: 'api', npm: 'api', needsBuild: true, about: 'the API document, and that the client was generated from it' },
  { name: 'unit', vitest: 'unit', about: 'pure decisions, state tables, parsers' },
  { name: 'integration', vitest: 'integration', needsBuild: true, about: 'against a real PostgreSQL' },
  { name: 'e2e', vitest: 'e2e', needsBuild: true, about: 'the running server: REST and sockets' },
  { name: 'docker', vitest: 'docker', needsBuild: true, engine: true, about: 'against a real Docker engine' },
  {
    name: 'faults',
    vitest: 'faults',
    needsBuild: true,
    engine: true,
    about: 'kill -9 in the middle, and what is left',
  },
  { name: 'leaks', about: 'no container or network of a test is left in Docker' },
];

/**
 * @param {string | undefined} only comma-separated step names; without it every step is chosen
 * @returns {typeof STEPS}
 * @throws {Error} for a name that is no step
 */
export function chooseSteps(only) {
  if (only === undefined) return STEPS;
  const names = new Set(only.split(',').map((name) => name.trim()));
  const chosen = STEPS.filter((step) => names.delete(step.name));
  if (names.size > 0) throw new Error(`No such step: ${[...names].join(', ')}. See --help.`);
  // Tests that run the built server must not meet an old one.
  if (chosen.some((step) => step.needsBuild) && !chosen.some((step) => step.name === 'build')) {
    return STEPS.filter((step) => step.name === 'build' || chosen.includes(step));
  }
  return chosen;
}
