// The experiment file as a JSON Schema (draft-07) for editors. Build time only: TypeBox takes long to import. What the
// engine accepts is decided by engine/structure.ts and the step types' own schemas; a test holds the two together.

import { Type, type TSchema, type TSchemaOptions } from 'typebox';
import type { Json, JsonObject, JsonSchema } from './json.ts';

export interface StepTypeSchema {
  readonly name: string;
  readonly summary: string;
  readonly params: JsonSchema;
  /** Ports by name: what they take, in words. */
  readonly inputs: Readonly<Record<string, string>>;
}

const described = (
  text: string,
  example?: string,
): { description: string; markdownDescription: string } => ({
  description: text,
  markdownDescription: example === undefined ? text : `${text}\n\n\`\`\`yaml\n${example}\n\`\`\``,
});

const referencePattern = '\\$\\{(vars|matrix|env)\\.[^}]+\\}';
const reference = Type.String({
  pattern: referencePattern,
  ...described('A reference: ${vars.name}, ${matrix.axis} or ${env.NAME}.'),
});

const orReference = (schema: TSchema, options: TSchemaOptions = {}): TSchema =>
  Type.Union([schema, reference], options);

const resources = Type.Object(
  {
    cpu: Type.Optional(
      orReference(
        Type.Number({ exclusiveMinimum: 0 }),
        described(
          'Cores the step may use. A step that loads a model takes all, unless it says less.',
        ),
      ),
    ),
    memory: Type.Optional(
      Type.Union(
        [Type.String(), Type.Integer({ minimum: 1 })],
        described('Memory the step needs: 6GiB, 512MiB.'),
      ),
    ),
    gpu: Type.Optional(
      orReference(Type.Integer({ minimum: 0 }), described('GPUs the step needs.')),
    ),
    time: Type.Optional(
      Type.String(described('How long the step may take, as a request to a scheduler: 2h, 45m.')),
    ),
  },
  {
    additionalProperties: false,
    ...described('What the step asks for.', 'resources: { cpu: 2, memory: 6GiB, time: 2h }'),
  },
);

const edge = Type.String({
  minLength: 1,
  ...described(
    'A step, one of its outputs, all its instances, or a result of an earlier run.',
    'model: base\nrows: questions.train\ncandidate: "scores[*]"\nbaseline: run:k7q2/scores',
  ),
});

const stepProperties = (types: readonly StepTypeSchema[]): Record<string, TSchema> => ({
  uses: Type.Unsafe({
    anyOf: [
      {
        enum: types.map(({ name }) => name),
        markdownEnumDescriptions: types.map(({ summary }) => summary),
      },
      { type: 'string', pattern: '^(\\.{1,2}/|/|@|mesa-)' },
    ],
    ...described('The type of the step, or a plugin: a path (./my-step.ts) or a package.'),
  }),
  description: Type.String(),
  inputs: Type.Unsafe({
    type: ['object', 'null'],
    additionalProperties: Type.Union([edge, Type.Array(edge)]),
    ...described(
      'Which artifacts the step takes, by port.',
      'inputs: { model: base, data: train-set }',
    ),
  }),
  with: Type.Unsafe({
    type: ['object', 'null', 'string'],
    pattern: referencePattern,
    ...described('Parameters of the step type.'),
  }),
  needs: Type.Union(
    [Type.String(), Type.Array(Type.String())],
    described('Steps that must be finished first although nothing of them is read.'),
  ),
  seed: orReference(
    Type.Integer({ minimum: 0 }),
    described('The seed of this step; that of the experiment otherwise.'),
  ),
  resources,
  timeout: Type.String(described('The step is ended when it takes longer: 90s, 2h.')),
  retry: orReference(
    Type.Integer({ minimum: 0, maximum: 100 }),
    described('How often a failed step is tried again.'),
  ),
  cache: orReference(Type.Boolean(), described('false: the step always runs.')),
  executor: Type.Unsafe({ enum: ['local', 'slurm'], ...described('Where the step runs.') }),
});

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A schema that text always fits needs no alternative for `${...}`. */
const takesReference = (schema: JsonObject): boolean => {
  const types = [schema['type']].flat();
  const bounded = [
    'enum',
    'const',
    'pattern',
    'minLength',
    'maxLength',
    'anyOf',
    'oneOf',
    'not',
    'if',
    'allOf',
    '$ref',
  ];
  return types.includes('string') && !bounded.some((keyword) => schema[keyword] !== undefined);
};

const annotations = ['description', 'default', 'examples', 'deprecated'] as const;

/** Own marks gone, hover texts added, and a reference allowed wherever a value may stand. */
const forEditors = (schema: Json, isValue: boolean): Json => {
  if (!isObject(schema)) return schema;
  if (schema['$ref'] !== undefined) {
    throw new Error('a $ref in the parameters of a step type would point elsewhere in this schema');
  }
  const inner: Record<string, Json> = {};
  for (const [keyword, value] of Object.entries(schema)) {
    if (keyword.startsWith('x-mesa-')) continue;
    if (['properties', 'patternProperties', 'definitions'].includes(keyword) && isObject(value)) {
      inner[keyword] = Object.fromEntries(
        Object.entries(value).map(([name, each]) => [name, forEditors(each, true)]),
      );
    } else if (['items', 'additionalProperties', 'additionalItems'].includes(keyword)) {
      inner[keyword] = forEditors(value, true);
    } else if (['anyOf', 'oneOf', 'allOf'].includes(keyword) && Array.isArray(value)) {
      inner[keyword] = (value as readonly Json[]).map((each) => forEditors(each, false));
    } else if (keyword === 'then' || keyword === 'else') inner[keyword] = forEditors(value, false);
    else inner[keyword] = value;
  }
  const hover = hoverText(schema);
  if (hover !== null) inner['markdownDescription'] = hover;
  if (!isValue || takesReference(schema)) return inner;
  const outer: Record<string, Json> = {};
  for (const name of [...annotations, 'markdownDescription'] as const) {
    if (inner[name] === undefined) continue;
    outer[name] = inner[name];
    Reflect.deleteProperty(inner, name);
  }
  return { ...outer, anyOf: [inner, { $ref: '#/definitions/reference' }] };
};

const hoverText = (schema: JsonObject): string | null => {
  const { description, default: fallback } = schema;
  if (typeof description !== 'string') return null;
  return fallback === undefined
    ? description
    : `${description}\n\nDefault: \`${JSON.stringify(fallback)}\``;
};

/** `then` of one step type: its parameters and its ports. No oneOf: editors then name the wrong branch (ux.md 3.3). */
const perType = ({ name, params, inputs }: StepTypeSchema): Json => ({
  if: { properties: { uses: { const: name } }, required: ['uses'] },
  then: {
    properties: {
      with: forEditors({ ...params, type: ['object', 'null', 'string'] }, false),
      inputs: {
        additionalProperties: false,
        properties: Object.fromEntries(
          Object.entries(inputs).map(([port, text]) => [
            port,
            { description: text, markdownDescription: text },
          ]),
        ),
      },
    },
  },
});

/** The whole schema, as plain data. */
export const experimentSchema = (types: readonly StepTypeSchema[]): JsonSchema => {
  const step = Type.Unsafe({
    type: 'object',
    additionalProperties: false,
    properties: stepProperties(types),
    allOf: types.map(perType),
  });
  const top = Type.Object(
    {
      $schema: Type.Optional(Type.String()),
      name: Type.Optional(
        Type.String(described('What the experiment is called; the name of the file otherwise.')),
      ),
      description: Type.Optional(Type.String()),
      extends: Type.Optional(
        Type.Union(
          [Type.String(), Type.Array(Type.String())],
          described(
            'Another experiment that this one changes. Maps are merged, lists and values replaced.',
            'extends: ./base.yaml',
          ),
        ),
      ),
      seed: Type.Optional(
        orReference(
          Type.Integer({ minimum: 0 }),
          described('The seed of everything random. 0 where nothing is said.'),
        ),
      ),
      vars: Type.Optional(
        Type.Unsafe({
          type: ['object', 'null'],
          ...described(
            'Values to use anywhere as ${vars.name}.',
            'vars: { model: HuggingFaceTB/SmolLM2-135M-Instruct }',
          ),
        }),
      ),
      matrix: Type.Optional(
        Type.Unsafe({
          type: ['object', 'null'],
          properties: {
            include: { type: 'array', items: { type: 'object' } },
            exclude: { type: 'array', items: { type: 'object' } },
          },
          additionalProperties: Type.Union([
            Type.Array(Type.Unknown(), { minItems: 1 }),
            reference,
          ]),
          ...described(
            'Axes of an ablation. A step runs once for each combination of the axes that it, or its inputs, name as ${matrix.axis}.',
            'matrix:\n  r: [8, 16]\n  train_on: [completion, all]',
          ),
        }),
      ),
      steps: Type.Optional(
        Type.Unsafe({
          type: 'object',
          minProperties: 1,
          propertyNames: { pattern: '^[a-z][a-z0-9_-]*$' },
          additionalProperties: { anyOf: [{ $ref: '#/definitions/step' }, { type: 'null' }] },
          ...described(
            'The steps by id. An input of one that names another makes the order.',
            'steps:\n  base:\n    uses: load-model\n    with: { source: hub, id: "${vars.model}" }',
          ),
        }),
      ),
    },
    { additionalProperties: false, patternProperties: { '^x-': {} } },
  );
  const whole = {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'MESA experiment',
    ...top,
    // What a parent file brings may be missing here.
    if: { required: ['extends'] },
    else: {
      required: ['steps'],
      properties: { steps: { additionalProperties: { required: ['uses'] } } },
    },
    definitions: { step, reference },
  };
  // TypeBox's own marks are not JSON: through text and back.
  return JSON.parse(JSON.stringify(whole)) as JsonSchema;
};
