// The live screen: finished steps above, once and for good (Static), then what runs and waits, the panel and the keys.
// It holds only what the keyboard changes; everything else is the state it is given.

import { useLayoutEffect, useState, type ReactElement } from 'react';
import { Box, Static, Text, useInput, useWindowSize } from 'ink';
import type { RunControls } from '../reporter.ts';
import type { Theme } from '../theme.ts';
import { choosable, frameOf, type Frame } from './frame.ts';
import { layoutFor, mayWrap, settledLine } from './lines.ts';
import type { PanelKind } from './panel.ts';
import type { Settled, TuiState } from './state.ts';
import { StepList } from './StepList.tsx';
import { TrainPanel } from './TrainPanel.tsx';

export interface AppProps {
  readonly state: TuiState;
  readonly now: number;
  readonly theme: Theme;
  readonly controls: RunControls;
  /** Whether a keyboard is there to listen to. */
  readonly keyboard: boolean;
  /** Told of every frame that is drawn, and for which width. */
  readonly onFrame?: (frame: Frame, columns: number) => void;
}

const wraps = (item: Settled): boolean => item.kind !== 'step' || mayWrap(item.view);

const Keyboard = ({
  state,
  controls,
  selected,
  panel,
  onSelect,
  onPanel,
}: {
  readonly state: TuiState;
  readonly controls: RunControls;
  readonly selected: string | null;
  readonly panel: PanelKind;
  readonly onSelect: (step: string) => void;
  readonly onPanel: (panel: PanelKind) => void;
}): null => {
  useInput((input, key) => {
    const names = choosable(state);
    const at = selected === null ? -1 : names.indexOf(selected);
    const move = (to: number): void => {
      const name = names[Math.min(names.length - 1, Math.max(0, to))];
      if (name !== undefined) onSelect(name);
    };
    const toggle = (kind: PanelKind): void => onPanel(panel === kind ? 'progress' : kind);
    // In raw mode Ctrl-C is a key: Ink would unmount, or do nothing. It has to mean what SIGINT means.
    if (key.ctrl && input === 'c') controls.interrupt();
    else if (key.upArrow) move(at - 1);
    else if (key.downArrow) move(at + 1);
    else if (key.escape) onPanel('progress');
    else if (input === 'l') toggle('log');
    else if (input === 'w') toggle('why');
    else if (input === '?') toggle('help');
    else if (input === 'q' && state.stopping === null) controls.interrupt();
  });
  return null;
};

export const App = (props: AppProps): ReactElement => {
  const { state, now, theme, controls, keyboard, onFrame } = props;
  const { columns, rows } = useWindowSize();
  const [selected, select] = useState<string | null>(null);
  const [panel, setPanel] = useState<PanelKind>('progress');
  const frame = frameOf(state, { columns, rows, now, theme, selected, panel });
  useLayoutEffect(() => onFrame?.(frame, columns));
  const layout = layoutFor(state.started?.steps ?? [], columns);
  return (
    <>
      {keyboard ? (
        <Keyboard
          state={state}
          controls={controls}
          selected={selected}
          panel={panel}
          onSelect={select}
          onPanel={setPanel}
        />
      ) : null}
      <Static items={[...state.settled]}>
        {(item, index) => (
          <Text key={index} wrap={wraps(item) ? 'wrap' : 'truncate-end'}>
            {settledLine(item, { layout, theme, now })}
          </Text>
        )}
      </Static>
      {state.finished === null ? (
        <Box flexDirection="column">
          <StepList lines={frame.steps} />
          <TrainPanel lines={frame.panel} columns={columns} theme={theme} />
          <Box marginTop={frame.panel.length > 0 ? 0 : 1}>
            <Text wrap="truncate-end">{frame.footer}</Text>
          </Box>
        </Box>
      ) : null}
    </>
  );
};
