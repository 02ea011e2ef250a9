// The box with the chosen step's bar, numbers and loss curve, or its log, or why it runs. Its border is text like all
// else, so that colour is the theme's decision alone (Ink's own borders go by the environment).

import type { ReactElement } from 'react';
import { Box, Text } from 'ink';
import { pad } from '../table.ts';
import type { Theme } from '../theme.ts';

export interface TrainPanelProps {
  readonly lines: readonly string[];
  /** Outer width. */
  readonly columns: number;
  readonly theme: Theme;
}

export const TrainPanel = ({ lines, columns, theme }: TrainPanelProps): ReactElement | null => {
  if (lines.length === 0) return null;
  const edge = '─'.repeat(columns - 2);
  const side = theme.dim('│');
  const boxed = [
    theme.dim(`╭${edge}╮`),
    ...lines.map((line) => `${side} ${pad(line, columns - 4)} ${side}`),
    theme.dim(`╰${edge}╯`),
  ];
  return (
    <Box flexDirection="column" aria-label="the chosen step">
      {boxed.map((line, i) => (
        <Text key={i} wrap="truncate-end">
          {line}
        </Text>
      ))}
    </Box>
  );
};
