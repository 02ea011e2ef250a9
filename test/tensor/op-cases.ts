// A small computation for every operator with the numbers it must give, worked out here in plain TypeScript. The type
// has an entry per operator kind, so an operator without a case doesn't compile.
import type { OpKind } from '../../tensor/ops.ts';
import type { OpCase } from './op-cases/case.ts';
import { elementwiseCases } from './op-cases/elementwise.ts';
import { layoutCases } from './op-cases/layout.ts';
import { linearCases } from './op-cases/linear.ts';
import { reductionCases } from './op-cases/reduction.ts';

export const opCases: Record<OpKind, readonly OpCase[]> = {
  ...elementwiseCases,
  ...layoutCases,
  ...reductionCases,
  ...linearCases,
};
