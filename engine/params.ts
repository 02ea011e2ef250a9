// The parameters of a step's instances: references resolved, checked against the type's schema, defaults filled, and
// what the type says about them (outputs, seed). Once for each distinct set of values, not for each instance.

import type { ArtifactKind } from '../schemas/artifact.ts';
import type { JsonObject } from '../schemas/json.ts';
import type { Problems } from './problems.ts';
import { hasUserInfo, looksSecret } from './reference-syntax.ts';
import type { References } from './references.ts';
import type { Place } from './source.ts';
import type { StepDefinition } from './step.ts';
import type { StepOutline } from './structure.ts';
import { validateParams } from './validate.ts';
import {
  describeNode,
  entryOf,
  scalarText,
  type MapNode,
  type ScalarNode,
  type YamlNode,
} from './yaml-node.ts';

export interface Params {
  readonly value: JsonObject;
  readonly outputs: Readonly<Record<string, ArtifactKind>>;
  readonly usesSeed: boolean;
}

/** The node that a JSON pointer of a parameter stands for, or the nearest around it. */
const nodeAt = (root: YamlNode, pointer: string, otherwise: Place): Place => {
  let at: YamlNode | undefined = root;
  let found: Place = otherwise;
  for (const part of pointer.split('/').slice(1)) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
    at =
      at.kind === 'map'
        ? entryOf(at, name)?.value
        : at.kind === 'seq'
          ? at.items[Number(name)]
          : undefined;
    if (at === undefined) break;
    found = at;
  }
  return found;
};

/** User information in URLs, and values under names such as api_key: what a record must not hold. */
export const reportSecrets = (node: YamlNode, problems: Problems): void => {
  if (node.kind === 'seq') for (const item of node.items) reportSecrets(item, problems);
  else if (node.kind === 'scalar') {
    if (typeof node.value === 'string' && hasUserInfo(node.value)) {
      problems.add('E222', node, 'a URL with a user name or password', {
        hint: 'leave the part before @ out; secrets come from the environment: `api_key_env`',
      });
    }
  } else {
    for (const { key, value } of node.entries) {
      const name = scalarText(key);
      const named =
        looksSecret(name) &&
        !/_(?:env|file)$/u.test(name) &&
        /^(?:api_key|apikey|token|hf_token|password|secret|auth_token|access_token)$/iu.test(name);
      if (
        named &&
        value.kind === 'scalar' &&
        typeof value.value === 'string' &&
        !scalarText(value).includes('${')
      ) {
        problems.add(
          'E222',
          key,
          `"${name}" looks like a secret, and values of an experiment are recorded`,
          {
            hint: 'give the name of an environment variable: `api_key_env`, or a file: `api_key_file`',
            secret: value,
          },
        );
      } else reportSecrets(value, problems);
    }
  }
};

const isPlainOutputs = (value: unknown): value is Params['outputs'] =>
  typeof value === 'object' &&
  value !== null &&
  Object.values(value).every((kind) => typeof kind === 'string');

const contains = (outer: Place, place: Place): boolean =>
  place.source === outer.source && place.start >= outer.start && place.end <= outer.end;

/** Null where something is wrong with the parameters (it has been reported). */
export const settleParams = (
  outline: StepOutline,
  definition: StepDefinition,
  references: References,
  row: ReadonlyMap<string, YamlNode>,
  problems: Problems,
): Params | null => {
  const before = problems.errorCount;
  const map =
    outline.with.kind === 'map' ? outline.with : wholeMap(outline.with, references, row, problems);
  if (map === null) return null;
  const resolved = resolveEntries(map, references, row);
  const { value, complaints } = validateParams(
    definition.params,
    resolved.node,
    `step type ${definition.name}`,
  );
  for (const complaint of complaints) {
    // What is missing of all parameters is missing under `with`, or where it would stand.
    const atRoot = complaint.place === resolved.node;
    const name = /^missing parameter "([^"]*)"/u.exec(complaint.message)?.[1];
    if (atRoot && name !== undefined && resolved.broken.has(name)) continue;
    const place = atRoot ? outline.withPlace : complaint.place;
    const { hint, parameter } = complaint;
    // What is wrong with a variable is shown there, and where the step uses it.
    const use =
      outline.with.kind === 'scalar'
        ? outline.with
        : parameter === undefined
          ? undefined
          : entryOf(outline.with, parameter)?.value;
    const what = parameter === undefined ? 'the parameters' : `"${parameter}"`;
    const related =
      use === undefined || contains(use, place)
        ? []
        : [{ message: `${what} of step "${outline.id}"`, place: use }];
    problems.add(complaint.code, place, complaint.message, { hint, related });
  }
  if (problems.errorCount > before || resolved.broken.size > 0) return null;
  return describe(outline, definition, value, resolved.node, problems);
};

/** The map that `with: ${vars.model}` stands for. */
const wholeMap = (
  written: ScalarNode,
  references: References,
  row: ReadonlyMap<string, YamlNode>,
  problems: Problems,
): MapNode | null => {
  const node = references.resolve(written, row);
  if (node === null || node.kind === 'map') return node;
  problems.add('E202', written, `\`with\` is a map; this is ${describeNode(node)}`, {
    related: [{ message: 'it stands here', place: node }],
  });
  return null;
};

/** Parameters whose references can't be resolved are left out, so that the others are checked all the same. */
const resolveEntries = (
  map: MapNode,
  references: References,
  row: ReadonlyMap<string, YamlNode>,
): { readonly node: MapNode; readonly broken: ReadonlySet<string> } => {
  const broken = new Set<string>();
  const whole = references.axesOf(map).size === 0 ? references.resolve(map, row) : null;
  if (whole?.kind === 'map') return { node: whole, broken };
  const entries = map.entries.flatMap((entry) => {
    const value = references.resolve(entry.value, row);
    if (value === null) broken.add(scalarText(entry.key));
    return value === null ? [] : [{ key: entry.key, value }];
  });
  return { node: { ...map, entries }, broken };
};

/** Asks the step type. Its own checks and outputs are its code: where they throw, the type is to blame, not the file. */
const describe = (
  outline: StepOutline,
  definition: StepDefinition,
  value: JsonObject,
  node: MapNode,
  problems: Problems,
): Params | null => {
  try {
    const ports = outline.inputs.map(({ port }) => scalarText(port));
    const complaints = definition.check?.(value, ports) ?? [];
    for (const { pointer, message, hint, warning = false } of complaints) {
      const place = nodeAt(node, pointer, outline.withPlace);
      problems.add(warning ? 'W203' : 'E308', place, message, { hint });
    }
    if (complaints.some(({ warning = false }) => !warning)) return null;
    const outputs = definition.outputs(value);
    if (!isPlainOutputs(outputs))
      throw new TypeError('outputs() must give a map from name to kind');
    return { value, outputs, usesSeed: definition.usesSeed?.(value) ?? false };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    problems.add(
      'E228',
      outline.uses ?? outline.key,
      `step type ${definition.name} failed while it was asked about these parameters: ${reason}`,
    );
    return null;
  }
};
