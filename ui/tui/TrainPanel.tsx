// The box with the chosen step's bar, numbers and loss curve, or its log, or why it runs.

import type { ReactElement } from 'react';
import { Box, Text } from 'ink';

export const TrainPanel = ({
  lines,
}: {
  readonly lines: readonly string[];
}): ReactElement | null =>
  lines.length === 0 ? null : (
    <Box
      flexDirection="column"
      borderStyle="round"
      borderDimColor
      paddingX={1}
      aria-label="the chosen step"
    >
      {lines.map((line, i) => (
        <Text key={i} wrap="truncate-end">
          {line}
        </Text>
      ))}
    </Box>
  );
