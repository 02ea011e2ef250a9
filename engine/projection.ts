// What a step sees of the matrix: the distinct projections of its rows on the step's axes.
//
//   rows           step with axis r       step with r and train_on     step with none
//   8  completion  ┐ x[r=8]               x[r=8,train_on=completion]   ┐
//   8  all         ┘                      x[r=8,train_on=all]          │ x
//   16 completion  ─ x[r=16]              x[r=16,train_on=completion]  ┘
//
// An edge joins by projection: the row that made the consumer's instance makes the producer's.

import type { Json } from '../schemas/json.ts';
import type { Matrix } from './matrix.ts';
import { toJson, type YamlNode } from './yaml-node.ts';

/** What is distinct of the rows on some of the axes. */
export interface Projection {
  /** Positions of axes, ascending. */
  readonly axes: readonly number[];
  /** Per instance the positions of its values on `axes`, in the order of the rows. */
  readonly instances: readonly (readonly number[])[];
  readonly indexOf: ReadonlyMap<string, number>;
}

/** Projections are asked for again and again by steps with the same axes. */
export class Projections {
  readonly matrix: Matrix;
  readonly #known = new Map<string, Projection>();

  constructor(matrix: Matrix) {
    this.matrix = matrix;
  }

  on(axes: readonly number[]): Projection {
    const name = axes.join();
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const instances: number[][] = [];
    const indexOf = new Map<string, number>();
    for (const row of this.matrix.rows) {
      const values = axes.map((axis) => row[axis] ?? 0);
      const key = values.join();
      if (indexOf.has(key)) continue;
      indexOf.set(key, instances.length);
      instances.push(values);
    }
    const projection = { axes, instances, indexOf };
    this.#known.set(name, projection);
    return projection;
  }

  label(axis: number, value: number): string {
    return this.matrix.values[axis]?.[value]?.label ?? '';
  }

  /** `r=8,train_on=all` */
  labels(axes: readonly number[], values: readonly number[]): string {
    return axes
      .map(
        (axis, index) => `${this.matrix.axes[axis] ?? ''}=${this.label(axis, values[index] ?? 0)}`,
      )
      .join(',');
  }

  row(axes: readonly number[], values: readonly number[]): ReadonlyMap<string, YamlNode> {
    const row = new Map<string, YamlNode>();
    for (const [index, axis] of axes.entries()) {
      const node = this.matrix.values[axis]?.[values[index] ?? 0]?.node;
      if (node !== undefined) row.set(this.matrix.axes[axis] ?? '', node);
    }
    return row;
  }

  json(axes: readonly number[], values: readonly number[]): Record<string, Json> {
    return Object.fromEntries(
      [...this.row(axes, values)].map(([axis, node]) => [axis, toJson(node)]),
    );
  }
}
