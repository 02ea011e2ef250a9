// What @huggingface/jinja leaves out of Jinja as Python runs it, made up for by rewriting a parsed template:
// `'%s of %d' % (a, b)`, lengths in characters rather than UTF-16 units, and None, True and False printed by those
// names. It knows no chat.

interface Node {
  type: string;
  [key: string]: unknown;
}

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';

/** Rewrites a parsed template in place. */
export const asInPython = (tree: unknown): void => {
  if (Array.isArray(tree)) for (const each of tree) asInPython(each);
  else if (tree instanceof Map) for (const entry of tree) asInPython(entry);
  else if (isNode(tree)) {
    for (const value of Object.values(tree)) asInPython(value);
    if (tree.type === 'BinaryExpression') rewriteFormatting(tree);
    if (tree.type === 'FilterExpression') rewriteLength(tree);
    for (const key of ['body', 'alternate', 'defaultBlock']) {
      const block = tree[key];
      if (Array.isArray(block)) tree[key] = block.map(printedAsInPython);
    }
  }
};

const rewriteFormatting = (node: Node): void => {
  const { operator, left, right } = node;
  if (!isNode(left) || left.type !== 'StringLiteral') return;
  if (typeof operator !== 'object' || operator === null) return;
  if (!('value' in operator) || operator.value !== '%') return;
  becomeCall(node, '%', [left, right]);
};

const rewriteLength = (node: Node): void => {
  const { operand, filter } = node;
  if (isNode(filter) && (filter['value'] === 'length' || filter['value'] === 'count'))
    becomeCall(node, '#', [operand]);
};

const becomeCall = (node: Node, name: string, args: readonly unknown[]): void => {
  Object.assign(node, {
    type: 'CallExpression',
    callee: { type: 'Identifier', value: name },
    args,
  });
};

const printed = ['Identifier', 'MemberExpression', 'BinaryExpression', 'UnaryExpression'];
/** Calls that may be evaluated more than once and may give a boolean. */
const predicates = [
  'startswith',
  'endswith',
  'isdigit',
  'isalpha',
  'isspace',
  'isupper',
  'islower',
];

/** x -> 'None' if x is none else 'True' if x is true else 'False' if x is false else x */
const printedAsInPython = (node: unknown): unknown => {
  if (!isNode(node) || !mayPrintConstant(node)) return node;
  const when = (test: string, text: string, otherwise: unknown): Node => ({
    type: 'Ternary',
    condition: {
      type: 'TestExpression',
      operand: node,
      negate: false,
      test: { type: 'Identifier', value: test },
    },
    trueExpr: { type: 'StringLiteral', value: text },
    falseExpr: otherwise,
  });
  return when('none', 'None', when('true', 'True', when('false', 'False', node)));
};

/** Whether printing may give None or a boolean, and evaluating again changes nothing. */
const mayPrintConstant = (node: Node): boolean => {
  if (node.type === 'TestExpression') return !callsAnything(node);
  if (node.type === 'CallExpression') {
    const { callee, args } = node;
    if (!isNode(callee) || callee.type !== 'MemberExpression' || callsAnything(args)) return false;
    const { property, object } = callee;
    return (
      isNode(property) && predicates.includes(String(property['value'])) && !callsAnything(object)
    );
  }
  return printed.includes(node.type) && !callsAnything(node);
};

const callsAnything = (tree: unknown): boolean => {
  if (Array.isArray(tree)) return tree.some(callsAnything);
  if (!isNode(tree)) return false;
  return tree.type === 'CallExpression' || Object.values(tree).some(callsAnything);
};

const lengthOf = (value: unknown): number => {
  if (typeof value === 'string') return Array.from(value).length;
  if (Array.isArray(value)) return value.length;
  if (typeof value === 'object' && value !== null)
    return value instanceof Map ? value.size : Object.keys(value).length;
  throw new Error('object has no length');
};

/** %s, %r, %d, %i, %f, %e, %g, %x and %% with width, precision and the flags 0, - and +. */
const format = (template: unknown, values: unknown): string => {
  const queue = Array.isArray(values) ? [...(values as unknown[])] : [values];
  const text = String(template).replace(
    /%([-+0]*)(\d*)(?:\.(\d+))?([srdifegx%])/g,
    (_, flags: string, width: string, precision: string | undefined, kind: string) => {
      if (kind === '%') return '%';
      if (queue.length === 0) throw new Error('not enough arguments for format string');
      const shown = convert(kind, queue.shift(), precision);
      const signed = flags.includes('+') && !/^-/.test(shown) && kind !== 's' ? `+${shown}` : shown;
      if (flags.includes('-')) return signed.padEnd(Number(width));
      if (!flags.includes('0') || kind === 's') return signed.padStart(Number(width));
      const sign = /^[-+]/.exec(signed)?.[0] ?? '';
      return sign + signed.slice(sign.length).padStart(Number(width) - sign.length, '0');
    },
  );
  if (queue.length > 0) throw new Error('not all arguments converted during string formatting');
  return text;
};

const convert = (kind: string, value: unknown, precision: string | undefined): string => {
  const number = Number(value);
  switch (kind) {
    case 'd':
    case 'i':
      return String(Math.trunc(number));
    case 'f':
      return number.toFixed(Number(precision ?? 6));
    case 'e':
      return number.toExponential(Number(precision ?? 6)).replace(/e([-+])(\d)$/, 'e$10$2');
    case 'g':
      return String(Number(number.toPrecision(Math.max(1, Number(precision ?? 6)))));
    case 'x':
      return Math.trunc(number).toString(16);
    case 'r':
      return typeof value === 'string' ? `'${value}'` : python(value);
    default:
      return python(value).slice(0, precision === undefined ? undefined : Number(precision));
  }
};

/** str() of Python for the values that occur in templates. */
const python = (value: unknown): string => {
  if (value === null || value === undefined) return 'None';
  if (value === true) return 'True';
  if (value === false) return 'False';
  return typeof value === 'string' ? value : JSON.stringify(value);
};

/** What rewritten templates call, under names that no template can write. */
export const pythonFunctions = { '%': format, '#': lengthOf } as const;
