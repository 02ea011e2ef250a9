// House rules as lint: strict type-checked TypeScript, and our own bans (console, exit, wall clock, randomness)
// with the one file that may do each.
import tseslint from 'typescript-eslint';

const ban = (selector, message) => ({ selector, message });
const wallClock = [
  ban(
    "CallExpression[callee.object.name='Date'][callee.property.name='now']",
    'Use engine/clock.ts.',
  ),
  ban("NewExpression[callee.name='Date'][arguments.length=0]", 'Use engine/clock.ts.'),
  ban("CallExpression[callee.object.name='performance']", 'Use engine/clock.ts.'),
];
const randomness = [
  ban("CallExpression[callee.object.name='Math'][callee.property.name='random']", 'Use random/.'),
];
const exits = [
  ban(
    "CallExpression[callee.object.name='process'][callee.property.name='exit']",
    'Only cli/main.ts ends the process.',
  ),
];

export default tseslint.config(
  {
    ignores: [
      'dist/**',
      'node_modules/**',
      'schemas/generated/**',
      'runs/**',
      '.mesa/**',
      'bin/**',
      '.dependency-cruiser.cjs',
    ],
  },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: {
          allowDefaultProject: ['*.js', 'scripts/*.mjs', 'scripts/no-native-build/*.js'],
        },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      'no-console': 'error',
      'no-restricted-syntax': ['error', ...wallClock, ...randomness, ...exits],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_' },
      ],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-unnecessary-condition': [
        'error',
        { allowConstantLoopConditions: 'only-allowed-literals' },
      ],
      '@typescript-eslint/require-await': 'off',
      // Code points are what text metrics and tokenizers count.
      '@typescript-eslint/no-misused-spread': ['error', { allow: ['string'] }],
      // A reader of JSON names the shape it expects: `readRows<PromptRow>(artifact)`.
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
      eqeqeq: 'error',
    },
  },
  {
    files: ['engine/clock.ts'],
    rules: { 'no-restricted-syntax': ['error', ...randomness, ...exits] },
  },
  {
    files: ['cli/main.ts', 'cli/worker-main.ts'],
    rules: { 'no-restricted-syntax': ['error', ...wallClock, ...randomness] },
  },
  {
    files: ['bench/**', 'scripts/**'],
    rules: { 'no-console': 'off', 'no-restricted-syntax': 'off' },
  },
  {
    files: ['test/**'],
    rules: {
      '@typescript-eslint/no-floating-promises': 'off',
      '@typescript-eslint/no-unnecessary-condition': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      'no-restricted-syntax': 'off',
    },
  },
  { files: ['**/*.{js,mjs}'], ...tseslint.configs.disableTypeChecked },
);
