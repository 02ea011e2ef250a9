// The one table of operators: every kind, its attributes, how types come out of it and which ONNX node it is.
// gradient.ts has a rule for each of these kinds, or says that there is none.
import type { OperatorTable } from './operator.ts';
import type { ElementwiseAttributes } from './ops/elementwise.ts';
import { elementwise } from './ops/elementwise.ts';
import type { LayoutAttributes } from './ops/layout.ts';
import { layout } from './ops/layout.ts';
import type { LinearAttributes } from './ops/linear.ts';
import { linearOps } from './ops/linear.ts';
import type { ReductionAttributes } from './ops/reduction.ts';
import { reduction } from './ops/reduction.ts';

export interface OpAttributes
  extends ElementwiseAttributes, LayoutAttributes, ReductionAttributes, LinearAttributes {}

export type OpKind = keyof OpAttributes;

export const operators: OperatorTable<OpAttributes> = {
  ...elementwise,
  ...layout,
  ...reduction,
  ...linearOps,
};
