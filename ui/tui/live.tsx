// Ink's part of the screen: mounts the App, hands it each new state, and takes it down. Loaded only when needed.

import { render } from 'ink';
import type { RunControls } from '../reporter.ts';
import type { Theme } from '../theme.ts';
import { App } from './App.tsx';
import type { Frame } from './frame.ts';
import { eraseUp, surplusLines, wrapsAgain } from './reflow.ts';
import type { TuiState } from './state.ts';

export interface LiveScreen {
  update(state: TuiState, now: number): void;
  /** Resolves when the terminal holds what shall stay. */
  close(state: TuiState, now: number): Promise<void>;
}

export interface LiveOptions {
  readonly state: TuiState;
  /** How many settled lines were printed before. */
  readonly settledBefore: number;
  readonly now: number;
  readonly theme: Theme;
  readonly terminal: NodeJS.WriteStream;
  readonly keyboard: NodeJS.ReadStream | null;
  readonly controls: RunControls;
}

export const startLive = (options: LiveOptions): LiveScreen => {
  const { settledBefore, theme, controls, keyboard } = options;
  let drawn: { readonly frame: Frame; readonly columns: number } | null = null;
  const app = (state: TuiState, now: number) => (
    <App
      state={{ ...state, settled: state.settled.slice(settledBefore) }}
      now={now}
      theme={theme}
      controls={controls}
      keyboard={keyboard !== null}
      onFrame={(frame, columns) => {
        drawn = { frame, columns };
      }}
    />
  );
  const { terminal } = options;
  const onResize = (): void => {
    if (drawn === null || !wrapsAgain(process.env)) return;
    terminal.write(eraseUp(surplusLines(drawn.frame, drawn.columns, terminal.columns)));
  };
  // Before Ink's own listener, which clears the lines it knows of.
  terminal.prependListener('resize', onResize);
  const instance = render(app(options.state, options.now), {
    stdout: terminal,
    ...(keyboard === null ? {} : { stdin: keyboard }),
    exitOnCtrlC: false,
    patchConsole: false,
    maxFps: 10,
    // Whether this is a terminal was decided by the caller; Ink's own guess would look at CI once more.
    interactive: true,
  });
  return {
    update: (state, now) => instance.rerender(app(state, now)),
    close: async (state, now) => {
      instance.rerender(app(state, now));
      await instance.waitUntilRenderFlush();
      instance.unmount();
      await instance.waitUntilExit();
      terminal.off('resize', onResize);
    },
  };
};
