// Reverse-mode differentiation of a graph, in the graph: one walk back over the builder's tape and a table with a
// rule for every operator (one without an entry doesn't compile). Only what depends on a wanted value gets a gradient.
import type { GraphBuilder } from './builder.ts';
import { isFloat } from './dtype.ts';
import type { Composite, InputGradients, TapeEntry } from './graph-core.ts';
import type { GraphNode, Value } from './graph.ts';
import { GraphError } from './graph.ts';
import { elementwiseGradients } from './gradients/elementwise.ts';
import { layoutGradients } from './gradients/layout.ts';
import { linearGradients } from './gradients/linear.ts';
import { reductionGradients } from './gradients/reduction.ts';
import type { GradientRules, Vjp } from './gradients/rule.ts';
import type { OpAttributes, OpKind } from './ops.ts';
import { sameShape, showShape } from './shape.ts';

export const gradientRules: GradientRules<OpAttributes> = {
  ...elementwiseGradients,
  ...layoutGradients,
  ...reductionGradients,
  ...linearGradients,
};

export interface GradientOptions {
  /**
   * Stage (GraphBuilder.stage) of the nodes that only this leaf's gradient needs: adapter gradients placed late, for
   * example, or layer by layer. A leaf is a wanted value that no other wanted value leads to.
   */
  readonly stageOf?: (leaf: Value) => number | undefined;
}

export interface Seed {
  readonly value: Value;
  /** The loss's gradient with respect to `value`, of its shape. */
  readonly gradient: Value;
}

/** d loss / d each of `wrt`, in their order and shapes. The loss is a scalar. */
export function gradient(
  b: GraphBuilder,
  loss: Value,
  wrt: readonly Value[],
  options: GradientOptions = {},
): Value[] {
  if (loss.shape.length !== 0) {
    throw new GraphError(`${loss.name} ${showShape(loss.shape)} isn't a scalar loss`);
  }
  return vectorJacobian(b, [{ value: loss, gradient: b.constant(1, loss.dtype) }], wrt, options);
}

/** Gradients of `wrt` given those of some values: a block's backward pass on its own. */
export function vectorJacobian(
  b: GraphBuilder,
  seeds: readonly Seed[],
  wrt: readonly Value[],
  options: GradientOptions = {},
): Value[] {
  const tape = [...b.tape];
  const { active, leaves } = dependents(tape, wrt);
  const gradients = new Map<Value, Value>();
  const accumulate = (value: Value, contribution: Value): void => {
    if (!sameShape(value.shape, contribution.shape)) {
      const shapes = `${showShape(contribution.shape)} for ${showShape(value.shape)}`;
      throw new GraphError(`${value.name}: a gradient of the wrong shape, ${shapes}`);
    }
    const sum = gradients.get(value);
    // The constant that a walk may start from is no node, and others may use it.
    if (b.constantValue(contribution) === undefined) b.late(contribution);
    gradients.set(value, sum === undefined ? contribution : b.add(sum, contribution));
  };
  for (const seed of seeds) accumulate(seed.value, seed.gradient);
  for (const entry of tape.toReversed()) {
    const incoming = entry.outputs.map((value) => gradients.get(value));
    if (incoming.every((value) => value === undefined)) continue;
    if (!entry.inputs.some((value) => value !== undefined && active.has(value))) continue;
    b.scope(`grad:${entry.name}`, () => {
      const builds = differentiate(b, entry, incoming);
      entry.inputs.forEach((value, i) => {
        // Conditions and indices may depend on a wanted value; nothing flows through them.
        if (value === undefined || !active.has(value) || !isFloat(value.dtype)) return;
        const build = builds[i];
        if (build === undefined) {
          throw new GraphError(`no gradient through ${entry.name} with respect to ${value.name}`);
        }
        const stage = leaves.has(value) ? options.stageOf?.(value) : undefined;
        const make = (): void => accumulate(value, build());
        if (stage === undefined) make();
        else b.stage(stage, make);
      });
    });
  }
  return wrt.map((value) => {
    const found = gradients.get(value);
    if (found === undefined) throw new GraphError(`${value.name} has no influence on the loss`);
    return found;
  });
}

/** Everything that depends on a wanted value, and which wanted values depend on no other. */
function dependents(
  tape: readonly TapeEntry[],
  wrt: readonly Value[],
): { active: ReadonlySet<Value>; leaves: ReadonlySet<Value> } {
  const active = new Set(wrt);
  const leaves = new Set(wrt);
  for (const { inputs, outputs } of tape) {
    if (!inputs.some((value) => value !== undefined && active.has(value))) continue;
    for (const value of outputs) {
      active.add(value);
      leaves.delete(value);
    }
  }
  return { active, leaves };
}

function differentiate(
  b: GraphBuilder,
  entry: TapeEntry,
  gradients: readonly (Value | undefined)[],
): InputGradients {
  return isComposite(entry) ? entry.vjp(gradients) : applyRule(b, entry, gradients);
}

const isComposite = (entry: TapeEntry): entry is Composite => entry.kind === 'composite';

function applyRule(
  b: GraphBuilder,
  node: GraphNode,
  gradients: readonly (Value | undefined)[],
): InputGradients {
  const rule = gradientRules[node.kind] as Vjp<OpAttributes[OpKind]> | 'nondifferentiable';
  if (rule === 'nondifferentiable') {
    throw new GraphError(`${node.name}: ${node.kind} has no gradient`);
  }
  const { inputs, outputs, attributes } = node;
  return rule({ b, inputs, outputs, attributes, gradients });
}
