/**
 * The shape of the house, checked: modules meet in contracts only, and inside a module dependencies point
 * from api/ and infra/ by way of app/ to domain/. Run with `npm run deps`.
 */

/** What a contract may lean on besides other contracts: data and base classes of common/, without behaviour. */
const CONTRACT_BASE =
  '^src/common/(bus/contracts|auth/actor|acp/(acp|stored)-message|retries/(retry-policy|failure-codes)|persistence/transactions)\\.ts$';

const MODULE = '^src/modules/[^/]+';
const CONTRACTS = `${MODULE}/contracts/`;

/** @param {string} names alternatives of package names; matches the package and its type declarations */
const packages = (names) => `^node_modules/(@types/)?(${names})/`;

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    {
      name: 'no-cycles',
      comment: 'A cycle can not be read, tested or split from any end. Type-only imports count.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'modules-meet-in-contracts',
      comment:
        'Of another module only its contracts/ may be imported, so that either can move to a process of its own.',
      severity: 'error',
      from: { path: '^src/modules/([^/]+)/' },
      to: { path: MODULE, pathNot: ['^src/modules/$1/', CONTRACTS] },
    },
    {
      name: 'contracts-import-contracts',
      comment: 'A contract is plain JSON-safe data: nothing but other contracts and their base classes behind it.',
      severity: 'error',
      from: { path: CONTRACTS },
      to: { pathNot: [CONTRACTS, CONTRACT_BASE] },
    },
    {
      name: 'domain-stands-alone',
      comment: 'domain/ knows neither the layers around it, nor where messages come from.',
      severity: 'error',
      from: { path: `${MODULE}/domain/` },
      to: { path: `${MODULE}/(app|infra|api)/` },
    },
    {
      name: 'domain-without-framework',
      comment: 'Rules outlive frameworks. Only the ORM mapping is allowed in domain/.',
      severity: 'error',
      from: { path: `${MODULE}/domain/` },
      to: { path: packages('@nestjs/[^/]+|@mikro-orm/nestjs|fastify|dockerode|socket\\.io|ws') },
    },
    {
      name: 'app-uses-ports',
      comment: 'A use case talks to the outside through the ports in domain/, never to infra/ or api/ itself.',
      severity: 'error',
      from: { path: `${MODULE}/app/` },
      to: { path: `${MODULE}/(infra|api)/` },
    },
    {
      name: 'common-knows-no-module',
      comment: 'What is common serves every module and depends on none.',
      severity: 'error',
      from: { path: '^src/common/' },
      to: { path: '^src/modules/' },
    },
    {
      name: 'product-without-tests',
      comment: 'What ships does not import what only tests, measures or sets up.',
      severity: 'error',
      from: { path: '^(src|migrations)/', pathNot: '\\.spec\\.ts$' },
      to: { path: '^(test|bench|scripts)/' },
    },
    {
      name: 'no-dev-dependencies-in-product',
      comment: 'The image is installed with `npm ci --omit=dev`. Types alone are fine: they are gone after the build.',
      severity: 'error',
      from: { path: '^(src|migrations)/', pathNot: '\\.spec\\.ts$' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only', 'npm'] },
    },
    {
      name: 'listed-dependencies-only',
      comment: 'A package that only comes along with another may be gone after its next release.',
      severity: 'error',
      from: {},
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'resolvable',
      comment: 'The import leads nowhere.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|coverage|spike|clients/typescript/src/generated)/' },
    // Count `import type` too: a boundary is crossed in the source, whatever is left of it after the build.
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'types', 'node', 'default'],
      extensions: ['.ts', '.mts', '.js', '.mjs', '.cjs', '.json', '.d.ts'],
    },
    skipAnalysisNotInRules: true,
  },
};
