// `mesa steps [type]`: the registry, or everything about one step type.

import { didYouMean } from '../../engine/suggest.ts';
import { registry } from '../../steps/index.ts';
import type { Json } from '../../schemas/json.ts';
import { table, truncate } from '../../ui/table.ts';
import { flagOption, type CliContext, type CommandAction } from '../context.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { stepPage } from '../step-page.ts';

const defaultWidth = 100;

const list = (context: CliContext, json: boolean): ExitCode => {
  const { stdout } = context;
  const definitions = registry.names.flatMap((name) => registry.get(name) ?? []);
  if (json) {
    const rows = definitions.map(({ name, version, summary, weight }) => ({
      name,
      version,
      summary,
      weight,
    }));
    stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
    return exitCodes.ok;
  }
  const nameWidth = Math.max(...registry.names.map((name) => name.length));
  const room = (stdout.columns() ?? 10_000) - nameWidth - 2;
  const rows = definitions.map(({ name, summary }) => [
    stdout.theme.bold(name),
    truncate(summary, room),
  ]);
  stdout.write(`${table([{ title: '' }, { title: '' }], rows).join('\n')}\n`);
  context.stderr.write(
    context.stderr.theme.dim('\nmesa steps <type> shows parameters, defaults and an example\n'),
  );
  return exitCodes.ok;
};

export const execute: CommandAction = async (context, [type], options) => {
  if (flagOption(options, 'names')) {
    context.stdout.write(`${registry.names.join('\n')}\n`);
    return exitCodes.ok;
  }
  const json = flagOption(options, 'json');
  if (type === undefined) return list(context, json);
  const definition = registry.get(type);
  if (definition === undefined) {
    return context.usage(
      `there is no step type "${type}"`,
      didYouMean(type, registry.names) ?? `the types are ${registry.names.join(', ')}`,
    );
  }
  if (json) {
    const { name, version, summary, params, weight } = definition;
    const inputs = definition.inputs as unknown as Json;
    context.stdout.write(
      `${JSON.stringify({ name, version, summary, weight, inputs, params }, null, 2)}\n`,
    );
    return exitCodes.ok;
  }
  const width = Math.min(defaultWidth, context.stdout.columns() ?? defaultWidth);
  context.stdout.write(`${stepPage(definition, width, context.stdout.theme).join('\n')}\n`);
  return exitCodes.ok;
};
