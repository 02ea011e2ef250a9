// The DAG as text: a tree for people, Mermaid and DOT for documents, JSON for programs.

import type { PlannedStep } from '../schemas/event.ts';
import type { Theme } from './theme.ts';

export type GraphFormat = 'tree' | 'mermaid' | 'dot' | 'json';

const statusWord = ({ status }: PlannedStep): string =>
  status.kind === 'fresh' ? 'fresh' : status.kind === 'stale' ? 'runs' : 'depends';

const paint = (step: PlannedStep, theme: Theme): string => {
  switch (step.status.kind) {
    case 'fresh':
      return theme.cached('✔ fresh');
    case 'stale':
      return theme.running(`▶ ${step.status.reason}`);
    case 'depends':
      return theme.dim('· depends');
  }
};

/** From results down to what they need; a step met before is named once more and not unfolded again. */
const tree = (steps: readonly PlannedStep[], theme: Theme): string[] => {
  const byName = new Map(steps.map((step) => [step.step, step]));
  const needed = new Set(steps.flatMap(({ after }) => after));
  const unfolded = new Set<string>();
  const lines: string[] = [];
  const show = (step: PlannedStep, lead: string, branch: string, next: string): void => {
    const seen = unfolded.has(step.step) && step.after.length > 0;
    const tail = seen ? theme.dim('(above)') : `${theme.dim(step.uses)}  ${paint(step, theme)}`;
    lines.push(`${lead}${branch}${theme.bold(step.step)}  ${tail}`);
    if (seen) return;
    unfolded.add(step.step);
    const needs = [...new Set(step.after)].flatMap((name) => byName.get(name) ?? []);
    needs.forEach((need, i) => {
      const last = i === needs.length - 1;
      show(need, lead + next, last ? '└─ ' : '├─ ', last ? '   ' : '│  ');
    });
  };
  for (const step of steps) if (!needed.has(step.step)) show(step, '', '', '');
  return lines;
};

const quoted = (text: string): string => JSON.stringify(text);

const mermaid = (steps: readonly PlannedStep[]): string[] => {
  const index = new Map(steps.map(({ step }, i) => [step, `s${i}`]));
  const id = (name: string): string => index.get(name) ?? '';
  const label = (step: PlannedStep): string =>
    `"${step.step.replaceAll('"', '#quot;')}<br/><small>${step.uses}</small>"`;
  return [
    'flowchart LR',
    ...steps.map((step) => `  ${id(step.step)}[${label(step)}]:::${statusWord(step)}`),
    ...steps.flatMap((step) =>
      [...new Set(step.after)].map((need) => `  ${id(need)} --> ${id(step.step)}`),
    ),
    '  classDef fresh fill:#e0f2f1,stroke:#00897b,color:#000',
    '  classDef runs fill:#fff8e1,stroke:#f9a825,color:#000',
    '  classDef depends fill:#f5f5f5,stroke:#9e9e9e,color:#000',
  ];
};

const dot = (steps: readonly PlannedStep[]): string[] => {
  const colours = { fresh: '#00897b', stale: '#f9a825', depends: '#9e9e9e' };
  return [
    'digraph experiment {',
    '  rankdir=LR;',
    '  node [shape=box, style=rounded, fontname="sans-serif"];',
    ...steps.map(
      (step) =>
        `  ${quoted(step.step)} [label=${quoted(`${step.step}\n${step.uses}`)}, color="${colours[step.status.kind]}"];`,
    ),
    ...steps.flatMap((step) =>
      [...new Set(step.after)].map((need) => `  ${quoted(need)} -> ${quoted(step.step)};`),
    ),
    '}',
  ];
};

export const graphView = (
  steps: readonly PlannedStep[],
  format: GraphFormat,
  theme: Theme,
): string[] => {
  switch (format) {
    case 'tree':
      return tree(steps, theme);
    case 'mermaid':
      return mermaid(steps);
    case 'dot':
      return dot(steps);
    case 'json':
      return [
        JSON.stringify(
          steps.map(({ step, id, uses, axes, after, status }) => ({
            step,
            id,
            uses,
            axes,
            after,
            status,
          })),
          null,
          2,
        ),
      ];
  }
};
