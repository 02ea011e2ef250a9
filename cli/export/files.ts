// Results as they are: every file of the artifact, or of an adapter the folder that PEFT loads.

import { constants, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { err, ok } from '../../engine/result.ts';
import type { JsonObject } from '../../schemas/json.ts';
import { inputsAt } from '../lineage.ts';
import type { Exporter, ExportRequest } from './form.ts';

const copy = ({ found, folder }: ExportRequest, names: readonly string[]): void => {
  for (const name of names) {
    const to = path.join(folder, name);
    mkdirSync(path.dirname(to), { recursive: true });
    // A copy that shares blocks where the file system can: the cache's own file must stay untouched.
    const mode = constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL;
    copyFileSync(found.artifact.file(name), to, mode);
  }
};

export const exportFiles: Exporter = async (request) => {
  const { names } = request.found.artifact;
  copy(request, names);
  return ok({ files: names, notes: [] });
};

const configName = 'adapter_config.json';

/** The id of the base model where it came from a hub: what PEFT's AutoPeftModel loads it by. */
const baseId = ({ project, found }: ExportRequest): string | null => {
  let [base] = inputsAt(project, found, 'model');
  // A quantised model is known by the model it was made from.
  while (base?.step.uses === 'quantize') [base] = inputsAt(project, base, 'model');
  const id = base?.step.params['id'];
  return base?.step.params['source'] === 'hub' && typeof id === 'string' ? id : null;
};

export const exportPeft: Exporter = async (request) => {
  const { artifact, output } = request.found;
  if (!artifact.names.includes(configName))
    return err({ message: `a ${output.kind} is no adapter` });
  const id = baseId(request);
  const names = artifact.names.filter((name) => name !== configName || id === null);
  copy(request, names);
  if (id !== null) {
    const json = JSON.parse(readFileSync(artifact.file(configName), 'utf8')) as JsonObject;
    const named = { ...json, base_model_name_or_path: id };
    writeFileSync(path.join(request.folder, configName), `${JSON.stringify(named, null, 2)}\n`);
  }
  return ok({
    files: artifact.names,
    notes:
      id === null
        ? [
            'the base model has no name on a hub: load it yourself, then PeftModel.from_pretrained(model, folder)',
          ]
        : [],
  });
};
