// What every step may say about itself beside its parameters: seed, resources, timeout, retry, cache, executor.

import { parseDurationMs, parseSize } from './parse-size.ts';
import type { Problems } from './problems.ts';
import type { StepInstance } from './experiment.ts';
import type { References } from './references.ts';
import type { SettingName, StepOutline } from './structure.ts';
import { didYouMean } from './suggest.ts';
import { describeNode, entryOf, scalarText, type Entry, type YamlNode } from './yaml-node.ts';

export type Settings = Pick<
  StepInstance,
  'resources' | 'timeoutMs' | 'retry' | 'cache' | 'executor'
> & {
  /** Null where the step says nothing of its own. */
  readonly seed: number | null;
};

const plain: Settings = {
  seed: null,
  resources: { cpu: null, memoryBytes: null, gpu: 0 },
  timeoutMs: null,
  retry: 0,
  cache: true,
  executor: 'local',
};

const resourceNames = ['cpu', 'memory', 'gpu', 'time'] as const;

/** A whole number within bounds; null where it isn't one, which is reported. */
export const wholeNumber = (
  node: YamlNode,
  what: string,
  least: number,
  problems: Problems,
  most = Number.MAX_SAFE_INTEGER,
): number | null => {
  if (node.kind !== 'scalar' || typeof node.value !== 'number') {
    problems.add('E202', node, `${what} must be a whole number; found ${describeNode(node)}`);
    return null;
  }
  if (!Number.isSafeInteger(node.value) || node.value < least || node.value > most) {
    const bounds =
      most === Number.MAX_SAFE_INTEGER
        ? `a whole number of at least ${least}`
        : `a whole number from ${least} to ${most}`;
    problems.add('E227', node, `${what} must be ${bounds}; found ${node.raw}`, {
      hint:
        Number.isInteger(node.value) && node.value > most ? `the largest is ${most}` : undefined,
    });
    return null;
  }
  return node.value;
};

class SettingsReader {
  readonly #problems: Problems;

  constructor(problems: Problems) {
    this.#problems = problems;
  }

  cpu(node: YamlNode): number | null {
    if (
      node.kind === 'scalar' &&
      typeof node.value === 'number' &&
      node.value > 0 &&
      Number.isFinite(node.value)
    )
      return node.value;
    this.#problems.add(
      'E227',
      node,
      `\`cpu\` must be a number of cores above 0; found ${describeNode(node)}`,
    );
    return null;
  }

  bytes(node: YamlNode): number | null {
    const bytes = node.kind === 'scalar' ? parseSize(scalarText(node)) : null;
    if (bytes !== null && bytes > 0) return bytes;
    this.#problems.add('E226', node, `\`memory\` is a size; found ${describeNode(node)}`, {
      hint: 'such as 6GiB, 512MiB or 1.5GB',
    });
    return null;
  }

  duration(node: YamlNode, what: string): number | null {
    const ms = node.kind === 'scalar' ? parseDurationMs(scalarText(node)) : null;
    if (ms !== null && ms > 0) return ms;
    const bare =
      node.kind === 'scalar' && typeof node.value === 'number'
        ? `with a unit: ${node.raw}s, ${node.raw}m or ${node.raw}h`
        : 'such as 90s, 45m, 2h or "1h 30m"';
    this.#problems.add('E226', node, `\`${what}\` is a duration; found ${describeNode(node)}`, {
      hint: bare,
    });
    return null;
  }

  resources(node: YamlNode): Settings['resources'] {
    if (node.kind !== 'map') {
      this.#problems.add('E202', node, `\`resources\` is a map; found ${describeNode(node)}`, {
        hint: 'such as { cpu: 2, memory: 6GiB, time: 2h }',
      });
      return plain.resources;
    }
    for (const { key } of node.entries) {
      if ((resourceNames as readonly string[]).includes(scalarText(key))) continue;
      const name = scalarText(key);
      const aliases: Readonly<Record<string, string>> = {
        mem: 'memory',
        ram: 'memory',
        cpus: 'cpu',
        cores: 'cpu',
        threads: 'cpu',
        gpus: 'gpu',
        walltime: 'time',
      };
      const alias = Object.hasOwn(aliases, name)
        ? `"${name}" is called "${aliases[name] ?? ''}" here`
        : undefined;
      this.#problems.add('E201', key, `unknown key "${name}" in \`resources\``, {
        hint: alias ?? didYouMean(name, resourceNames) ?? `it knows ${resourceNames.join(', ')}`,
      });
    }
    const value = (name: (typeof resourceNames)[number]): YamlNode | undefined =>
      entryOf(node, name)?.value;
    const cpu = value('cpu');
    const memory = value('memory');
    const gpu = value('gpu');
    const time = value('time');
    if (time !== undefined) this.duration(time, 'time');
    return {
      cpu: cpu === undefined ? null : this.cpu(cpu),
      memoryBytes: memory === undefined ? null : this.bytes(memory),
      gpu: gpu === undefined ? 0 : (wholeNumber(gpu, '`gpu`', 0, this.#problems) ?? 0),
    };
  }

  cache(node: YamlNode): boolean {
    if (node.kind === 'scalar' && typeof node.value === 'boolean') return node.value;
    this.#problems.add('E202', node, `\`cache\` is true or false; found ${describeNode(node)}`);
    return true;
  }

  executor(node: YamlNode): Settings['executor'] {
    const text = node.kind === 'scalar' ? scalarText(node) : '';
    if (text === 'local' || text === 'slurm') return text;
    this.#problems.add(
      'E202',
      node,
      `\`executor\` is local or slurm; found ${describeNode(node)}`,
      { hint: didYouMean(text, ['local', 'slurm']) },
    );
    return 'local';
  }
}

const given = (entry: Entry | undefined): entry is Entry =>
  entry !== undefined && !(entry.value.kind === 'scalar' && entry.value.value === null);

/** The settings of one instance, its references resolved. */
export const readSettings = (
  outline: StepOutline,
  references: References,
  row: ReadonlyMap<string, YamlNode>,
  problems: Problems,
): Settings => {
  const reader = new SettingsReader(problems);
  const { settings } = outline;
  const read = <T>(name: SettingName, otherwise: T, make: (node: YamlNode) => T): T => {
    const entry = settings[name];
    if (!given(entry)) return otherwise;
    const node = references.resolve(entry.value, row);
    return node === null ? otherwise : make(node);
  };
  if (!Object.values(settings).some(given)) return plain;
  return {
    seed: read<number | null>('seed', null, (node) => wholeNumber(node, '`seed`', 0, problems)),
    resources: read('resources', plain.resources, (node) => reader.resources(node)),
    timeoutMs: read<number | null>('timeout', null, (node) => reader.duration(node, 'timeout')),
    retry: read('retry', 0, (node) => wholeNumber(node, '`retry`', 0, problems, 100) ?? 0),
    cache: read('cache', true, (node) => reader.cache(node)),
    executor: read<Settings['executor']>('executor', 'local', (node) => reader.executor(node)),
  };
};
