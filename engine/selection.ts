// How an edge with a selector (`x[*]`, `x[r=*]`, `x[r=8]`) reads the axes of its source.

import type { StepEdge } from './link.ts';
import type { Problems } from './problems.ts';
import type { Projections } from './projection.ts';
import { didYouMean } from './suggest.ts';

export interface Selection {
  /** Axes of the source that are gathered or picked: they don't become axes of the consumer. */
  readonly consumed: ReadonlySet<number>;
  /** Picked values by axis. */
  readonly picked: ReadonlyMap<number, number>;
  readonly gathers: boolean;
}

/** How an edge reads the axes of its source. Null where the selector names what the source doesn't have. */
export const readSelection = (
  edge: StepEdge,
  sourceId: string,
  axes: readonly number[],
  projections: Projections,
  problems: Problems,
): Selection | null => {
  const { selector, place } = edge;
  const names = axes.map((axis) => projections.matrix.axes[axis] ?? '');
  const none = { consumed: new Set<number>(), picked: new Map<number, number>(), gathers: false };
  if (selector === null) return none;
  if (axes.length === 0) {
    problems.add('E215', place, `"${sourceId}" has one instance: no matrix axis reaches it`, {
      hint: `write "${sourceId}"`,
    });
    return null;
  }
  if (selector.kind === 'all') return { ...none, consumed: new Set(axes), gathers: true };
  const consumed = new Set<number>();
  const picked = new Map<number, number>();
  for (const [name, label] of selector.axes) {
    const axis = axes[names.indexOf(name)];
    if (axis === undefined) {
      problems.add('E215', place, `"${sourceId}" has no axis "${name}"`, {
        hint: didYouMean(name, names) ?? `its axes are ${names.join(', ')}`,
      });
      return null;
    }
    consumed.add(axis);
    if (label === '*') continue;
    const values = projections.matrix.values[axis] ?? [];
    const value = values.findIndex((candidate) => candidate.label === label);
    if (value === -1) {
      const labels = values.map((candidate) => candidate.label);
      problems.add('E215', place, `axis "${name}" has no value ${label}`, {
        hint: didYouMean(label, labels) ?? `its values are ${labels.join(', ')}`,
      });
      return null;
    }
    picked.set(axis, value);
  }
  return { consumed, picked, gathers: consumed.size > picked.size };
};
