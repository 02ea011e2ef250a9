// Every command and option as data: commander's program, the completion scripts and the tests are made from it.
// Importing it costs nothing; a command's own module is loaded when the command is used.

import type { CommandAction } from './context.ts';

export type OptionType =
  /** Present or not; or, with a `[value]` in its flags, text where a value is given. */
  | { readonly kind: 'plain' }
  | { readonly kind: 'choice'; readonly of: readonly string[] }
  | { readonly kind: 'integer'; readonly min: number }
  /** May be given several times. */
  | { readonly kind: 'list' };

export interface OptionSpec {
  readonly flags: string;
  readonly description: string;
  readonly type?: OptionType;
}

export interface CommandSpec {
  readonly name: string;
  /** As in commander: `<file>`, `[files...]`. */
  readonly args?: string;
  readonly summary: string;
  readonly group: 'Run:' | 'Look:' | 'Set up:';
  readonly options: readonly OptionSpec[];
  /** What completion offers for the first argument. */
  readonly completes?: 'experiment' | 'run' | 'step-type' | readonly string[];
  readonly examples?: readonly string[];
  readonly hidden?: boolean;
  load(): Promise<{ readonly execute: CommandAction }>;
}

const list: OptionType = { kind: 'list' };
const choice = (...of: string[]): OptionType => ({ kind: 'choice', of });
const atLeast = (min: number): OptionType => ({ kind: 'integer', min });
const json: OptionSpec = { flags: '--json', description: 'print JSON' };

/** What decides an experiment's plan: the same for run, plan and why. */
const planning: readonly OptionSpec[] = [
  {
    flags: '--set <path=value>',
    description: 'override a value of the file (steps.adapter.with.r=16); repeatable',
    type: list,
  },
  { flags: '--seed <n>', description: "override the experiment's seed", type: atLeast(0) },
  { flags: '--only <step>', description: 'this step alone, its inputs from the cache', type: list },
  { flags: '--from <step>', description: 'this step and all that depends on it', type: list },
  { flags: '--until <step>', description: 'this step and all that it needs', type: list },
  { flags: '--force [step]', description: 'ignore the cache, for all steps or one (--force=STEP)' },
  { flags: '--locked', description: 'fail where mesa.lock.json has no entry' },
  {
    flags: '--accept <what>',
    description: 'code[:STEP]: reuse what differs in code only',
    type: list,
  },
  { flags: '--strict-numerics', description: 'ignore results of another runtime or machine class' },
];

export const commandTable: readonly CommandSpec[] = [
  {
    name: 'run',
    args: '<file>',
    summary: 'run an experiment; what was computed before is not computed again',
    group: 'Run:',
    completes: 'experiment',
    options: [
      ...planning,
      { flags: '--dry-run', description: 'say what would run and why, and stop' },
      { flags: '-j, --jobs <n>', description: 'steps at once (default: cores)', type: atLeast(1) },
      {
        flags: '--on-failure <how>',
        description: 'stop: start nothing new; continue: all that does not depend; kill',
        type: choice('stop', 'continue', 'kill'),
      },
      {
        flags: '--ui <kind>',
        description: 'how progress is shown',
        type: choice('auto', 'tui', 'plain', 'quiet', 'json'),
      },
      { flags: '--json', description: 'every event as a line of JSON on stdout' },
      {
        flags: '--log-steps <which>',
        description: 'logs of steps to show',
        type: choice('failed', 'new', 'all', 'none'),
      },
      { flags: '--name <name>', description: 'name of the run' },
    ],
    examples: [
      'mesa run experiments/quickstart.yaml',
      'mesa run experiments/quickstart.yaml --set steps.adapter.with.r=16',
    ],
    load: () => import('./commands/run.ts'),
  },
  {
    name: 'plan',
    args: '<file>',
    summary: 'what would run, and why',
    group: 'Run:',
    completes: 'experiment',
    options: [
      ...planning,
      { flags: '--exit-code', description: 'exit 3 if anything would run' },
      json,
    ],
    load: () => import('./commands/plan.ts'),
  },
  {
    name: 'check',
    args: '[files...]',
    summary: 'every problem of experiment files, with its place; runs nothing',
    group: 'Run:',
    completes: 'experiment',
    options: [
      {
        flags: '--set <path=value>',
        description: 'override a value of the file; repeatable',
        type: list,
      },
      { flags: '--resolved', description: 'print the experiment with the origin of every value' },
      json,
    ],
    load: () => import('./commands/check.ts'),
  },
  {
    name: 'why',
    args: '<file> <step>',
    summary: 'why a step would run: its key, field by field, against the nearest earlier run',
    group: 'Run:',
    completes: 'experiment',
    options: [...planning, json],
    load: () => import('./commands/why.ts'),
  },
  {
    name: 'graph',
    args: '<file>',
    summary: 'the steps and what each needs',
    group: 'Run:',
    completes: 'experiment',
    options: [
      {
        flags: '--format <format>',
        description: 'how to draw it',
        type: choice('tree', 'mermaid', 'dot', 'json'),
      },
      {
        flags: '--set <path=value>',
        description: 'override a value of the file; repeatable',
        type: list,
      },
    ],
    load: () => import('./commands/graph.ts'),
  },
  {
    name: 'runs',
    summary: 'one row per run: what differed, and how it came out',
    group: 'Look:',
    options: [
      { flags: '--sort <column>', description: 'sort by a column; -column for descending' },
      { flags: '--filter <condition>', description: "such as 'status=ok'; repeatable", type: list },
      { flags: '-n, --limit <n>', description: 'at most this many (default 20)', type: atLeast(1) },
      { flags: '--all-params', description: 'also parameters that do not differ between the runs' },
      { flags: '--md', description: 'print Markdown' },
      { flags: '--csv', description: 'print CSV' },
      json,
    ],
    load: () => import('./commands/runs.ts'),
  },
  {
    name: 'show',
    args: '<run>',
    summary: 'a run, or one step of it (RUN/STEP): settings, times, results, log',
    group: 'Look:',
    completes: 'run',
    options: [
      { flags: '--log', description: "the step's whole log" },
      { flags: '--samples [condition]', description: "rows, such as those with 'correct=false'" },
      {
        flags: '-n, --limit <n>',
        description: 'at most this many rows (default 10)',
        type: atLeast(1),
      },
      json,
    ],
    examples: ['mesa show last', "mesa show last/scores --samples 'exact_match=0' --limit 5"],
    load: () => import('./commands/show.ts'),
  },
  {
    name: 'compare',
    args: '<a> <b>',
    summary: 'two runs: what was changed, and the paired difference of each metric',
    group: 'Look:',
    completes: 'run',
    options: [
      {
        flags: '--fail-if <condition>',
        description: "exit 1 where it holds, such as 'exact_match < -0.01'; repeatable",
        type: list,
      },
      json,
    ],
    load: () => import('./commands/compare.ts'),
  },
  {
    name: 'cat',
    args: '<result>',
    summary: 'rows of a result (RUN/STEP[.OUTPUT]) as lines of JSON, or its document',
    group: 'Look:',
    completes: 'run',
    options: [{ flags: '--file <name>', description: 'one file of it, as it is' }],
    examples: ['mesa cat last/answers | jq .text'],
    load: () => import('./commands/cat.ts'),
  },
  {
    name: 'export',
    args: '<result> <folder>',
    summary: 'write the files of a result (RUN/STEP[.OUTPUT]) to a folder',
    group: 'Look:',
    completes: 'run',
    options: [
      {
        flags: '--as <format>',
        description: 'for another tool',
        type: choice('files', 'peft', 'hf', 'gguf', 'lm-eval', 'model-card'),
      },
      {
        flags: '--base <result>',
        description:
          'the model an adapter is merged into (hf, gguf; default: the one it was trained on)',
      },
    ],
    load: () => import('./commands/export.ts'),
  },
  {
    name: 'init',
    args: '[folder]',
    summary: 'write a first experiment and editor settings; overwrites nothing',
    group: 'Set up:',
    options: [],
    load: () => import('./commands/init.ts'),
  },
  {
    name: 'steps',
    args: '[type]',
    summary: 'the step types, or the parameters of one',
    group: 'Set up:',
    completes: 'step-type',
    options: [{ flags: '--names', description: 'print the names only' }, json],
    load: () => import('./commands/steps.ts'),
  },
  {
    name: 'lock',
    args: '[files...]',
    summary: 'pin what experiments take from the hub, and show the pins',
    group: 'Set up:',
    completes: 'experiment',
    options: [
      { flags: '--update', description: 'resolve revisions again and move the pins' },
      json,
    ],
    load: () => import('./commands/lock.ts'),
  },
  {
    name: 'cache',
    args: '<ls|verify|gc|path>',
    summary: 'what the cache holds, whether it is sound, and giving space back',
    group: 'Set up:',
    completes: ['ls', 'verify', 'gc', 'path'],
    options: [
      { flags: '--dry-run', description: 'gc: say what would go' },
      { flags: '--yes', description: 'gc: without asking' },
      { flags: '--keep <n>', description: 'gc: keep what the last n runs reach', type: atLeast(0) },
      json,
    ],
    load: () => import('./commands/cache.ts'),
  },
  {
    name: 'doctor',
    summary: 'Node, runtime, threads, memory, disk and cache: what is well and what is not',
    group: 'Set up:',
    options: [json],
    load: () => import('./commands/doctor.ts'),
  },
  {
    name: 'completion',
    args: '<shell>',
    summary: 'a completion script for bash, zsh or fish',
    group: 'Set up:',
    completes: ['bash', 'zsh', 'fish'],
    options: [],
    load: () => import('./commands/completion.ts'),
  },
  {
    name: 'schema',
    summary: 'the JSON Schema of experiment files',
    group: 'Set up:',
    options: [],
    hidden: true,
    load: () => import('./commands/schema.ts'),
  },
];
