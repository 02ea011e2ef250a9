// load-dataset: parameters -> datasets/ -> one dataset for each output.

import { StepError, type StepContext } from '../../engine/step.ts';
import { chooseColumns, writtenRow } from '../../datasets/columns.ts';
import { DataError } from '../../datasets/error.ts';
import { loadSource, type Loaded, type Source } from '../../datasets/load.ts';
import { columnsOf, type Row, type SourceRow } from '../../datasets/row.ts';
import { splitRows } from '../../datasets/split.ts';
import type { DatasetDocument, DatasetRow } from '../../schemas/artifact.ts';
import type { JsonObject } from '../../schemas/json.ts';
import { placeSource } from './hub.ts';
import { readRows, writeDocument, writeRows } from '../rows.ts';
import { sourceOf, splitNames, splitOptions } from './parameters.ts';

/** Identity fields of a dataset made by this step don't count as text that rows can have in common. */
const withoutIdentity = ({ id: _id, item: _item, ...source }: DatasetRow): SourceRow => source;

const withContamination = async (context: StepContext, source: Source): Promise<Source> => {
  const asked = context.params['contamination'] as JsonObject | undefined;
  const against = context.optionalInput('against');
  if (asked === undefined) {
    if (against !== null) {
      context.warn('input `against` is not used: there is no `contamination` parameter');
    }
    return source;
  }
  if (against === null) {
    throw new StepError(
      'E551',
      '`contamination` compares with the rows of input `against`, which is missing',
      'Add `inputs: { against: <dataset> }`.',
    );
  }
  return {
    ...source,
    contamination: {
      ngram: Number(asked['ngram'] ?? 13),
      drop: asked['drop'] === true,
      against: (await readRows<DatasetRow>(against)).map(withoutIdentity),
    },
  };
};

const write = (context: StepContext, name: string, rows: readonly Row[], loaded: Loaded): void => {
  const written = rows.map(writtenRow);
  const output = context.output(name);
  writeRows(output, written);
  const document: DatasetDocument = {
    columns: columnsOf(written),
    count: written.length,
    source: loaded.source,
    dropped: loaded.dropped,
  };
  writeDocument(output, 'dataset.json', document);
};

const reportOn = (context: StepContext, counts: readonly string[], loaded: Loaded): void => {
  const dropped = loaded.dropped.map(({ reason, count }) => `${String(count)} dropped (${reason})`);
  context.report({ kind: 'headline', text: [...counts, ...dropped].join(', ') });
  if (loaded.duplicates > 0 && !loaded.dropped.some(({ reason }) => reason === 'duplicate')) {
    context.warn(
      `${String(loaded.duplicates)} rows repeat question and answer of an earlier one; \`dedupe: {}\` drops them`,
    );
  }
  if (loaded.contaminated > 0) {
    context.warn(`${String(loaded.contaminated)} rows share text with the rows of \`against\``);
  }
};

const load = async (context: StepContext): Promise<void> => {
  const { params } = context;
  const source = await placeSource(context, await withContamination(context, sourceOf(params)));
  const loaded = await loadSource(source);
  const names = splitNames(params);
  const outputs =
    names.length === 0
      ? new Map([['rows', [...loaded.rows]]])
      : splitRows(loaded.rows, splitOptions(params));
  const counts: string[] = [];
  for (const [name, rows] of outputs) {
    if (rows.length === 0) {
      throw new StepError(
        'E552',
        `${name === 'rows' ? 'the dataset' : `split ${name}`} has no rows`,
        loaded.dropped
          .map(({ reason, count }) => `${reason} dropped ${String(count)}.`)
          .join(' ') || undefined,
      );
    }
    write(context, name, chooseColumns(rows, source), loaded);
    counts.push(name === 'rows' ? `${String(rows.length)} rows` : `${name} ${String(rows.length)}`);
  }
  reportOn(context, counts, loaded);
};

export const run = async (context: StepContext): Promise<void> => {
  try {
    await load(context);
  } catch (cause) {
    if (cause instanceof DataError) throw new StepError(cause.code, cause.message, cause.hint);
    throw cause;
  }
};
