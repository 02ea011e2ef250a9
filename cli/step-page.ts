// A step type as a page of text, from its definition alone: ports, parameters with types and defaults, an example.

import type { InputPort, StepDefinition } from '../engine/step.ts';
import type { Json, JsonObject } from '../schemas/json.ts';
import { table, wrapWords } from '../ui/table.ts';
import type { Theme } from '../ui/theme.ts';

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const text = (value: Json | undefined): string => (typeof value === 'string' ? value : '');

/** A JSON value in YAML's flow style, as one would type it. */
const yaml = (value: Json): string => {
  if (typeof value === 'string')
    return /^[A-Za-z][\w ./-]*$/.test(value) && !/^(true|false|null|yes|no|on|off)$/i.test(value)
      ? value
      : JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((item: Json) => yaml(item)).join(', ')}]`;
  if (isObject(value)) {
    const pairs = Object.entries(value).map(([key, item]) => `${key}: ${yaml(item)}`);
    return pairs.length === 0 ? '{}' : `{ ${pairs.join(', ')} }`;
  }
  return JSON.stringify(value);
};

/** "integer ≥ 1", "text|choices|perplexity", "list of string". */
export const typeText = (schema: Json | undefined): string => {
  if (!isObject(schema)) return 'any';
  const { enum: values, const: constant, type, items } = schema;
  if (constant !== undefined) return yaml(constant);
  if (Array.isArray(values)) return values.map((value: Json) => yaml(value)).join('|');
  for (const combined of [schema['oneOf'], schema['anyOf']])
    if (Array.isArray(combined))
      return [...new Set(combined.map((one: Json) => typeText(one)))].join(' or ');
  if (Array.isArray(type)) return type.map(text).join(' or ');
  if (type === 'array') return `list of ${typeText(items)}`;
  if (type === 'object') return 'map';
  const limits = [
    ...('minimum' in schema ? [`≥ ${yaml(schema['minimum'] ?? null)}`] : []),
    ...('exclusiveMinimum' in schema ? [`> ${yaml(schema['exclusiveMinimum'] ?? null)}`] : []),
    ...('maximum' in schema ? [`≤ ${yaml(schema['maximum'] ?? null)}`] : []),
    ...('exclusiveMaximum' in schema ? [`< ${yaml(schema['exclusiveMaximum'] ?? null)}`] : []),
  ];
  return [text(type) || 'any', ...limits].join(' ');
};

interface Parameter {
  readonly name: string;
  readonly depth: number;
  readonly schema: JsonObject;
  readonly required: boolean;
}

const parametersOf = (schema: JsonObject, depth = 0): Parameter[] => {
  const { properties, required } = schema;
  if (!isObject(properties)) return [];
  const needed = new Set(Array.isArray(required) ? required.map(text) : []);
  return Object.entries(properties).flatMap(([name, property]) => {
    if (!isObject(property)) return [];
    const own = { name, depth, schema: property, required: needed.has(name) };
    return [own, ...parametersOf(property, depth + 1)];
  });
};

const kinds = (port: InputPort): string =>
  (typeof port.kind === 'string' ? [port.kind] : port.kind).join(' or ');
const portText = (port: InputPort): string =>
  [
    kinds(port),
    ...(port.many === true ? ['one or several'] : []),
    ...(port.optional === true ? ['optional'] : []),
  ].join(', ');

/** Outputs with all defaults; parameters may name others (the splits of a dataset). */
const outputsText = (definition: StepDefinition): string => {
  const outputs = Object.entries(definition.outputs(defaultsOf(definition.params)));
  return outputs.map(([name, kind]) => `${name} (${kind})`).join(', ');
};

const defaultsOf = (schema: JsonObject): JsonObject =>
  Object.fromEntries(
    parametersOf(schema)
      .filter(({ depth }) => depth === 0)
      .flatMap(({ name, schema: property }) =>
        property['default'] === undefined ? [] : [[name, property['default']]],
      ),
  );

/** A value that the schema accepts, for the example. */
const exampleValue = (schema: JsonObject): Json => {
  const { examples, default: standard, enum: values, type, minimum } = schema;
  if (Array.isArray(examples) && examples[0] !== undefined) return examples[0] as Json;
  if (standard !== undefined) return standard;
  if (Array.isArray(values) && values[0] !== undefined) return values[0] as Json;
  if (type === 'integer' || type === 'number') return minimum ?? 1;
  if (type === 'boolean') return true;
  if (type === 'array')
    return [isObject(schema['items']) ? exampleValue(schema['items']) : 'value'];
  if (type === 'object') return {};
  return 'value';
};

const exampleLines = (definition: StepDefinition): string[] => {
  const ports = Object.entries(definition.inputs).filter(([, port]) => port.optional !== true);
  const own = definition.params['examples'];
  const example = Array.isArray(own) && isObject(own[0] as Json) ? (own[0] as JsonObject) : null;
  const shown =
    example ??
    Object.fromEntries(
      parametersOf(definition.params)
        .filter(({ depth, required }) => depth === 0 && required)
        .map(({ name, schema }) => [name, exampleValue(schema)]),
    );
  const step = definition.name.replaceAll(/[^a-z0-9]+/g, '-');
  return [
    `  my-${step}:`,
    `    uses: ${definition.name}`,
    ...(ports.length === 0
      ? []
      : [`    inputs: { ${ports.map(([port]) => `${port}: ${port}-step`).join(', ')} }`]),
    ...(Object.keys(shown).length === 0 ? [] : [`    with: ${yaml(shown)}`]),
  ];
};

const parameterLines = (parameter: Parameter, width: number, theme: Theme): string[] => {
  const { schema, depth } = parameter;
  const indent = '  '.repeat(depth + 1);
  const standard = schema['default'];
  const facts = [
    typeText(schema),
    ...(parameter.required ? ['required'] : []),
    ...(standard === undefined ? [] : [`= ${yaml(standard)}`]),
    ...(schema['x-mesa-effect'] === 'none' ? ['no effect on results'] : []),
  ].join('  ');
  const description = wrapWords(text(schema['description']), width - indent.length - 4);
  return [
    `${indent}${theme.bold(parameter.name)}  ${theme.dim(facts)}`,
    ...description.map((line) => `${indent}    ${line}`),
  ];
};

export const stepPage = (definition: StepDefinition, width: number, theme: Theme): string[] => {
  const parameters = parametersOf(definition.params);
  const inputs = Object.entries(definition.inputs);
  return [
    `${theme.bold(definition.name)}  ${definition.summary}`,
    '',
    'inputs',
    ...(inputs.length === 0
      ? [theme.dim('  none')]
      : table(
          [{ title: '' }, { title: '' }],
          inputs.map(([name, port]) => [`  ${theme.bold(name)}`, theme.dim(portText(port))]),
        )),
    '',
    'outputs',
    `  ${outputsText(definition)}`,
    '',
    'with',
    ...(parameters.length === 0
      ? [theme.dim('  nothing')]
      : parameters.flatMap((parameter) => parameterLines(parameter, width, theme))),
    '',
    'example',
    ...exampleLines(definition),
  ];
};
