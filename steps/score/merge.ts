// Several predictions of the same prompts (text, choices, perplexity) as one list of rows: the first artifact's order,
// joined by id. A row that only some of them have is an error, and so is one whose question differs.

import { StepError } from '../../engine/step.ts';
import type { Mode } from '../../metrics/metric.ts';
import type { PredictionRow } from '../../schemas/artifact.ts';

export interface ModedRows {
  readonly mode: Mode;
  readonly rows: readonly PredictionRow[];
  /** What to call the artifact in an error. */
  readonly name: string;
}

export interface MergedRow {
  readonly first: PredictionRow;
  readonly byMode: ReadonlyMap<Mode, PredictionRow>;
}

const index = ({ rows, name }: ModedRows): Map<string, PredictionRow> => {
  const byId = new Map<string, PredictionRow>();
  for (const row of rows) {
    if (byId.has(row.id))
      throw new StepError('E521', `${name} has two rows with id ${JSON.stringify(row.id)}`);
    byId.set(row.id, row);
  }
  return byId;
};

export const mergeByMode = (artifacts: readonly ModedRows[]): MergedRow[] => {
  const [first] = artifacts;
  if (first === undefined) throw new StepError('E520', 'score has no predictions');
  const modes = new Set<Mode>();
  for (const { mode, name } of artifacts) {
    if (modes.has(mode)) {
      throw new StepError(
        'E520',
        `two inputs of score are predictions of mode ${mode} (the second is ${name})`,
        'score each in a step of its own and compare the scores',
      );
    }
    modes.add(mode);
  }
  const indexed = artifacts.map((artifact) => ({ ...artifact, byId: index(artifact) }));
  for (const { rows, name } of indexed) {
    for (const { id } of rows) {
      const without = indexed.find(({ byId }) => !byId.has(id));
      if (without !== undefined) {
        throw new StepError(
          'E522',
          `row ${JSON.stringify(id)} is in ${name} but not in ${without.name}`,
        );
      }
    }
  }
  return first.rows.map((row) => ({
    first: row,
    byMode: new Map(
      indexed.map(({ mode, byId, name }) => {
        const other = byId.get(row.id) as PredictionRow;
        if (other.item !== row.item) {
          throw new StepError(
            'E523',
            `row ${JSON.stringify(row.id)} of ${name} is another question than in ${first.name}`,
          );
        }
        return [mode, other];
      }),
    ),
  }));
};
