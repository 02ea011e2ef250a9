// Sums in one order, whatever the number of threads. Matrix products of which neither side is packed beforehand are
// divided among threads by the runtime: by rows where there are as many rows as columns, else by columns in blocks of
// 16; and where a thread has 64 columns or fewer, longer stretches of the inner dimension are added up at once. So the
// order of a sum depends on the number of threads that a product gets, which depends on its size and on how many
// products there are at once. Products with a transposed left side always have the same stretches. (MLAS, sgemm.cpp;
// every case of 1 to 16 threads, 1 to 8 products at once, 1 to 200 rows, 64 to 256 columns over 64 to 1984 and the other
// way round was tried against these rules.)

import type { Graph, GraphNode, Value } from './graph.ts';
import type { Dim, Shape } from './shape.ts';
import { dimAt, divDims, elements, termsOf } from './shape.ts';

/** Columns that a thread has at least: the runtime divides by blocks of so many. */
const BLOCK = 16;

/** Up to this inner dimension a sum is one stretch. */
export const STRETCH = 128;

/** Among how many threads `columns` may be divided so that each has more than 64. */
export const steadyShares = (columns: number): number =>
  Math.max(1, Math.floor(Math.ceil(columns / BLOCK) / 5));

/** A product whose sums depend on the number of threads while it has fewer rows than columns. */
export interface DividedProduct {
  readonly rows: Dim;
  readonly columns: Dim;
  /** As many threads as do not change its sums, however few rows it has. */
  readonly threads: number;
}

interface Product {
  /** Products at once: leading dimensions. */
  readonly lead: Shape;
  readonly rows: Dim;
  readonly inner: Dim;
  readonly columns: Dim;
}

/** Products of a graph that threads may divide by columns; `prepack` as the session will have it. */
export const dividedProducts = (graph: Graph, prepack: boolean): readonly DividedProduct[] => {
  const constants = new Set(graph.initializers.map(({ value }) => value));
  const isPacked = (value: Value | undefined): boolean =>
    prepack && value?.shape.length === 2 && value.dtype === 'float32' && constants.has(value);
  return graph.nodes.flatMap((node) => {
    const product = unpackedProduct(node, isPacked);
    if (product === undefined || keepsOrder(product)) return [];
    const { lead, rows, columns } = product;
    const shares = typeof columns === 'number' ? steadyShares(columns) : 1;
    return [{ rows, columns, threads: shares * atLeast(elements(lead)) }];
  });
};

/** The product that a node is, if it multiplies unpacked matrices of which the left one lies as it is. */
const unpackedProduct = (
  node: GraphNode,
  isPacked: (value: Value | undefined) => boolean,
): Product | undefined => {
  const [left, right] = node.inputs;
  const y = node.outputs[0];
  if (left === undefined || right === undefined || y === undefined) return undefined;
  const rows = (): Dim => elements(left.shape.slice(0, -1));
  const columns = (): Dim => dimAt(y.shape, -1);
  switch (node.kind) {
    case 'matmul':
    case 'fusedMatMul':
    case 'gemm': {
      if (node.kind === 'fusedMatMul' && node.attributes.transA) return undefined;
      if (isPacked(right)) return undefined;
      const sizes = { inner: dimAt(left.shape, -1), columns: columns() };
      // A batch of rows times one matrix is one product.
      if (right.shape.length === 2) return { lead: [], rows: rows(), ...sizes };
      return { lead: y.shape.slice(0, -2), rows: dimAt(left.shape, -2), ...sizes };
    }
    // Kernels that unpack the weight and multiply with it.
    case 'matMulBnb4':
      return { lead: [], rows: rows(), inner: node.attributes.k, columns: columns() };
    case 'matMulNBits': {
      const { bits, accuracy, k } = node.attributes;
      if (bits !== 8 || accuracy === 4) return undefined;
      return { lead: [], rows: rows(), inner: k, columns: columns() };
    }
    default:
      return undefined;
  }
};

/** Whether the sums are the same however threads divide the product. */
const keepsOrder = ({ rows, inner, columns }: Product): boolean => {
  if (typeof inner === 'number' && inner <= STRETCH) return true;
  if (typeof columns === 'number' && columns <= BLOCK) return true;
  // As many rows as columns: divided by rows.
  if (typeof rows === 'number' && typeof columns === 'number') return rows >= columns;
  if (timesOf(rows, columns) !== undefined) return true;
  // Divided by columns while there are fewer rows: an inner dimension that is a part of those is one stretch then.
  const parts = timesOf(rows, inner);
  return parts !== undefined && typeof columns === 'number' && columns / parts <= STRETCH;
};

/** The whole number that `dim` is of `unit`, whatever the sizes. */
const timesOf = (dim: Dim, unit: Dim): number | undefined => {
  const quotient = divDims(dim, unit);
  return typeof quotient === 'number' ? quotient : undefined;
};

/** The least value of a dimension whose names are 1 or more. */
const atLeast = (dim: Dim): number =>
  typeof dim === 'number'
    ? dim
    : Math.max(1, ...termsOf(dim).map(({ coefficient }) => coefficient));
