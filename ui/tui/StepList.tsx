// Running and waiting steps, a line each. The words say what the symbols and colours say.

import type { ReactElement } from 'react';
import { Box, Text } from 'ink';

export const StepList = ({ lines }: { readonly lines: readonly string[] }): ReactElement => (
  <Box flexDirection="column" aria-label="steps that run or wait">
    {lines.map((line, i) => (
      <Text key={i} wrap="truncate-end">
        {line}
      </Text>
    ))}
  </Box>
);
