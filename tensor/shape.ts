// Shapes: dimensions are numbers, names ("T"), or sums and products of them ("P+T", "2*B*T"), so that a graph is
// checked as it is built although lengths are known only when it runs. Different names are different sizes: two
// dimensions agree when their expressions are equal, and nothing is assumed.

export type Dim = number | string;
export type Shape = readonly Dim[];

/** A shape that doesn't fit; the builder adds the operator, its scope path and all input shapes. */
export class ShapeError extends Error {}

/** Sum of coefficient times symbols: key 'B*T' -> 2 stands for 2*B*T, key '' for the constant. */
type Polynomial = Map<string, number>;

const parsed = new Map<string, Polynomial>();

function parse(dim: Dim): Polynomial {
  if (typeof dim === 'number') {
    if (!Number.isSafeInteger(dim)) throw new ShapeError(`${dim} is not a size`);
    return new Map(dim === 0 ? [] : [['', dim]]);
  }
  const known = parsed.get(dim);
  if (known !== undefined) return known;
  if (!/^-?[\w.]+([-+*][\w.]+)*$/.test(dim)) {
    throw new ShapeError(`${JSON.stringify(dim)} is not the name of a dimension`);
  }
  const result: Polynomial = new Map();
  for (const [, sign, product = ''] of dim.matchAll(/([-+]?)([^-+]+)/g)) {
    let coefficient = sign === '-' ? -1 : 1;
    const symbols: string[] = [];
    for (const factor of product.split('*')) {
      if (/^\d+$/.test(factor)) coefficient *= Number(factor);
      else symbols.push(factor);
    }
    add(result, symbols.sort().join('*'), coefficient);
  }
  parsed.set(dim, result);
  return result;
}

function add(into: Polynomial, key: string, coefficient: number): void {
  const sum = (into.get(key) ?? 0) + coefficient;
  if (sum === 0) into.delete(key);
  else into.set(key, sum);
}

function render(polynomial: Polynomial): Dim {
  const symbolic = [...polynomial.keys()].filter((key) => key !== '').sort();
  const constant = polynomial.get('') ?? 0;
  if (symbolic.length === 0) return constant;
  let text = '';
  for (const key of symbolic) {
    const coefficient = polynomial.get(key) ?? 0;
    const size = Math.abs(coefficient);
    text += coefficient < 0 ? '-' : text === '' ? '' : '+';
    text += size === 1 ? key : `${size}*${key}`;
  }
  if (constant !== 0) text += constant < 0 ? String(constant) : `+${constant}`;
  return text;
}

/** The canonical spelling: `T*B` and `B*T` are the same dimension. */
export const canonicalDim = (dim: Dim): Dim =>
  typeof dim === 'number' && Number.isSafeInteger(dim) ? dim : render(parse(dim));

export function addDims(...dims: readonly Dim[]): Dim {
  const sum: Polynomial = new Map();
  for (const dim of dims) for (const [key, coefficient] of parse(dim)) add(sum, key, coefficient);
  return render(sum);
}

export function mulDims(...dims: readonly Dim[]): Dim {
  let product: Polynomial = new Map([['', 1]]);
  for (const dim of dims) {
    const next: Polynomial = new Map();
    for (const [left, a] of product) {
      for (const [right, b] of parse(dim)) {
        const symbols = [...left.split('*'), ...right.split('*')].filter((name) => name !== '');
        add(next, symbols.sort().join('*'), a * b);
      }
    }
    product = next;
  }
  return render(product);
}

export const subDims = (a: Dim, b: Dim): Dim => addDims(a, mulDims(-1, b));

/** a / b where it is exact for every value of the names, else undefined. */
export function divDims(a: Dim, b: Dim): Dim | undefined {
  if (sameDim(a, b)) return 1;
  const divisor = [...parse(b)];
  const [only] = divisor;
  if (only === undefined || divisor.length !== 1) return undefined;
  const quotient: Polynomial = new Map();
  for (const [key, coefficient] of parse(a)) {
    const symbols = key.split('*').filter((name) => name !== '');
    for (const name of only[0].split('*').filter((part) => part !== '')) {
      const at = symbols.indexOf(name);
      if (at < 0) return undefined;
      symbols.splice(at, 1);
    }
    if (coefficient % only[1] !== 0) return undefined;
    add(quotient, symbols.join('*'), coefficient / only[1]);
  }
  return render(quotient);
}

export const sameDim = (a: Dim, b: Dim): boolean => a === b || canonicalDim(a) === canonicalDim(b);

export const sameShape = (a: Shape, b: Shape): boolean =>
  a.length === b.length && a.every((dim, i) => sameDim(dim, b[i] ?? NaN));

export const showShape = (shape: Shape): string => `[${shape.join(', ')}]`;

/** Number of elements, symbolic if any dimension is. */
export const elements = (shape: Shape): Dim => mulDims(1, ...shape);

/** The names a dimension is made of. */
export const symbolsOf = (dim: Dim): string[] => [
  ...new Set([...parse(dim).keys()].flatMap((key) => key.split('*')).filter((name) => name !== '')),
];

/** Terms of a dimension as coefficient and symbols, for computing it at run time. */
export const termsOf = (dim: Dim): { coefficient: number; symbols: string[] }[] =>
  [...parse(dim)].map(([key, coefficient]) => ({
    coefficient,
    symbols: key.split('*').filter((name) => name !== ''),
  }));

/** The value of a dimension when every name has a size. */
export function evaluateDim(dim: Dim, sizes: ReadonlyMap<string, number>): number | undefined {
  if (typeof dim === 'number') return dim;
  const named = sizes.get(dim);
  if (named !== undefined) return named;
  let sum = 0;
  for (const { coefficient, symbols } of termsOf(dim)) {
    let product = coefficient;
    for (const name of symbols) {
      const size = sizes.get(name);
      if (size === undefined) return undefined;
      product *= size;
    }
    sum += product;
  }
  return sum;
}

/** An axis in 0..rank-1 from one that may count from the end. */
export function normalizeAxis(axis: number, rank: number): number {
  const normal = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || normal < 0 || normal >= rank) {
    throw new ShapeError(`axis ${axis} is outside a shape of rank ${rank}`);
  }
  return normal;
}

/** The dimension at an axis that may count from the end. */
export function dimAt(shape: Shape, axis: number): Dim {
  return shape[normalizeAxis(axis, shape.length)] ?? 1;
}

/** NumPy's broadcasting. */
export function broadcastShapes(...shapes: readonly Shape[]): Shape {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  const out: Dim[] = [];
  for (let axis = 0; axis < rank; axis++) {
    let result: Dim = 1;
    for (const shape of shapes) {
      const dim = shape[axis - rank + shape.length] ?? 1;
      if (sameDim(dim, 1) || sameDim(dim, result)) continue;
      if (result !== 1) {
        throw new ShapeError(`${shapes.map(showShape).join(' and ')} don't broadcast`);
      }
      result = canonicalDim(dim);
    }
    out.push(result);
  }
  return out;
}

/** Shape of a @ b, both at least rank 2, leading dimensions broadcast. */
export function matmulShape(a: Shape, b: Shape, transA = false, transB = false): Shape {
  if (a.length < 2 || b.length < 2) {
    throw new ShapeError('a matrix product needs two matrices (rank 2 or more)');
  }
  const [rows, inner] = transA ? [dimAt(a, -1), dimAt(a, -2)] : [dimAt(a, -2), dimAt(a, -1)];
  const [other, columns] = transB ? [dimAt(b, -1), dimAt(b, -2)] : [dimAt(b, -2), dimAt(b, -1)];
  if (!sameDim(inner, other)) {
    throw new ShapeError(`the inner dimensions ${inner} and ${other} differ`);
  }
  return [...broadcastShapes(a.slice(0, -2), b.slice(0, -2)), rows, columns];
}

/** The full target of a reshape: -1 (at most one) is what is left of the elements. */
export function reshapeTarget(from: Shape, target: Shape): Shape {
  const holes = target.filter((dim) => dim === -1).length;
  if (holes > 1) throw new ShapeError(`${showShape(target)} leaves more than one dimension open`);
  const total = elements(from);
  const known = elements(target.filter((dim) => dim !== -1));
  if (holes === 0) {
    if (!sameDim(total, known)) {
      throw new ShapeError(`${total} elements don't fill ${showShape(target)}`);
    }
    return target.map(canonicalDim);
  }
  const rest = divDims(total, known);
  if (rest === undefined) throw new ShapeError(`${total} elements don't fill ${showShape(target)}`);
  return target.map((dim) => (dim === -1 ? rest : canonicalDim(dim)));
}

/** Concatenation along an axis: that dimension is the sum, the others agree. */
export function concatShapes(shapes: readonly Shape[], axis: number): Shape {
  const [first] = shapes;
  if (first === undefined) throw new ShapeError('nothing to concatenate');
  const at = normalizeAxis(axis, first.length);
  for (const shape of shapes) {
    if (
      shape.length !== first.length ||
      shape.some((d, i) => i !== at && !sameDim(d, first[i] ?? -1))
    ) {
      throw new ShapeError(`${shapes.map(showShape).join(', ')} differ outside axis ${at}`);
    }
  }
  return first.map((dim, i) =>
    i === at ? addDims(...shapes.map((shape) => dimAt(shape, at))) : dim,
  );
}

export function reducedShape(shape: Shape, axes: readonly number[], keepDims: boolean): Shape {
  const reduced = new Set(axes.map((axis) => normalizeAxis(axis, shape.length)));
  return shape.flatMap((dim, i) => (reduced.has(i) ? (keepDims ? [1] : []) : [dim]));
}
