// Which way of showing a run is meant, and making it. Each is loaded only when it is the one.

import type { Reporter, LogSteps, RunControls } from '../ui/reporter.ts';
import { textOption, type CliContext, type OptionValues } from './context.ts';

export type UiKind = 'tui' | 'plain' | 'quiet' | 'json';

const kinds: readonly UiKind[] = ['tui', 'plain', 'quiet', 'json'];

/** Flag, then -q, then MESA_UI, then what stderr is: progress goes there. */
export const chooseUi = (context: CliContext, flag: UiKind | undefined): UiKind => {
  if (flag !== undefined) return flag;
  if (context.quiet) return 'quiet';
  const { env } = context;
  const wanted = kinds.find((kind) => kind === env['MESA_UI']);
  if (wanted !== undefined) return wanted;
  const ci = env['CI'] !== undefined && env['CI'] !== '' && env['CI'] !== 'false';
  return context.stderr.isTty && !ci && env['TERM'] !== 'dumb' ? 'tui' : 'plain';
};

const logStepsOf = (context: CliContext, options: OptionValues): LogSteps => {
  const value = textOption(options, 'logSteps');
  if (value === 'new' || value === 'all' || value === 'none' || value === 'failed') return value;
  return context.verbose ? 'new' : 'failed';
};

export const makeReporter = async (
  context: CliContext,
  kind: UiKind,
  options: OptionValues,
  controls: RunControls,
  now: () => number,
): Promise<Reporter> => {
  switch (kind) {
    case 'json': {
      const { jsonReporter } = await import('../ui/json.ts');
      return jsonReporter(context.stdout);
    }
    case 'quiet': {
      const { quietReporter } = await import('../ui/quiet.ts');
      return quietReporter(context.stderr);
    }
    case 'plain': {
      const { plainReporter } = await import('../ui/plain.ts');
      const logSteps = logStepsOf(context, options);
      const reporter = plainReporter(context.stderr, { logSteps, eachCached: context.verbose });
      if (context.env['GITHUB_ACTIONS'] !== 'true') return reporter;
      const { githubReporter } = await import('../ui/github.ts');
      return githubReporter(context.stderr, reporter);
    }
    case 'tui': {
      const { screenReporter } = await import('../ui/tui/screen.ts');
      return screenReporter({
        output: context.stderr,
        terminal: process.stderr,
        keyboard: process.stdin.isTTY ? process.stdin : null,
        controls,
        now,
      });
    }
  }
};
