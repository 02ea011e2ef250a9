// The files of a checkpoint in Hugging Face's layout: one file, or shards listed by an index. It checks that the
// index and the shards agree, and that the index names no file outside the folder.

import { basename, dirname, join } from 'node:path';
import { CheckpointError } from './error.ts';
import { isRecord, readJsonObject, shown } from './json.ts';

/** Tensor name -> file name, from `model.safetensors.index.json` or `pytorch_model.bin.index.json`. */
export const readIndex = (path: string): ReadonlyMap<string, string> => {
  const map = readJsonObject(path)['weight_map'];
  if (!isRecord(map)) throw new CheckpointError(path, 'has no weight_map');
  const files = new Map<string, string>();
  for (const [tensor, file] of Object.entries(map)) {
    if (typeof file !== 'string' || file === '' || basename(file) !== file || file.includes('\\'))
      throw new CheckpointError(
        path,
        `names the file ${shown(file)}, which is no plain file name`,
        { tensor },
      );
    files.set(tensor, file);
  }
  return files;
};

export const shardsOf = (index: ReadonlyMap<string, string>): readonly string[] =>
  [...new Set(index.values())].sort();

/** Every tensor of the index is in the file it names, and no shard holds one that the index doesn't. */
export const checkIndex = (
  indexPath: string,
  index: ReadonlyMap<string, string>,
  shards: ReadonlyMap<string, ReadonlySet<string>>,
): void => {
  for (const [tensor, file] of index)
    if (shards.get(file)?.has(tensor) !== true)
      throw new CheckpointError(indexPath, `is said to be in ${file}, but is not`, { tensor });
  for (const [file, names] of shards)
    for (const tensor of names)
      if (index.get(tensor) !== file)
        throw new CheckpointError(join(dirname(indexPath), file), 'is not in the index', {
          tensor,
          hint: `the index is ${indexPath}`,
        });
};
