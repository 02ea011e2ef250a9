// The table of design.md 1: which folder may import which. A new edge is a decision, made here.
const layers = {
  schemas: [],
  engine: ['schemas'],
  tensor: [],
  random: [],
  hub: [],
  models: ['tensor', 'random'],
  datasets: ['random'],
  metrics: ['random'],
  steps: ['schemas', 'random', 'tensor', 'models', 'datasets', 'metrics', 'hub'],
  ui: ['schemas'],
};
const rules = Object.entries(layers).map(([folder, allowed]) => ({
  name: `${folder}-imports`,
  severity: 'error',
  from: { path: `^${folder}/` },
  to: {
    path: '^(schemas|engine|tensor|random|hub|models|datasets|metrics|steps|ui|cli|test|bench|scripts)/',
    pathNot: [
      `^${folder}/`,
      ...allowed.map((name) => `^${name}/`),
      ...(folder === 'steps' ? ['^engine/step\\.ts$'] : []),
    ],
  },
}));
module.exports = {
  forbidden: [
    ...rules,
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only', 'dynamic-import'] } },
    },
    {
      name: 'runtime-in-one-file',
      severity: 'error',
      from: { pathNot: '^(tensor/session\\.ts|cli/doctor|cli/commands/doctor|bench/)' },
      to: { path: 'node_modules/onnxruntime-node', pathNot: 'package\.json$' },
    },
    {
      name: 'nothing-imports-cli',
      severity: 'error',
      from: { pathNot: '^(cli|test|bench|scripts)/' },
      to: { path: '^cli/' },
    },
    { name: 'unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^dist/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
};
