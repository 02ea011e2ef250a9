// Token embeddings (plain or packed), their scale, and learned positions.

import type { Value } from '../tensor/graph.ts';
import type { ModelConfig } from './config.ts';
import { ZERO } from './digits.ts';
import { modelModules } from './modules.ts';
import type { ModelTensors } from './tensors.ts';

/** ids [...] -> [..., D] */
export const embed = (
  config: ModelConfig,
  tensors: ModelTensors,
  ids: Value,
  positions: Value,
): Value => {
  const g = tensors.graph;
  const modules = modelModules(config.modelType);
  const rows = rowsOf(tensors, `${modules.embeddings}.weight`, ids);
  const scaled = config.embeddingScale === 1 ? rows : g.mul(rows, config.embeddingScale);
  if (config.positions.kind !== 'learned') return scaled;
  const { offset } = config.positions;
  const table = tensors.float(`${modules.positions}.weight`);
  return g.add(scaled, g.gather(table, offset === 0 ? positions : g.add(positions, offset)));
};

/**
 * Rows of a stored matrix [V, D] as floats. A head that is the same matrix maps it under a name of its own: what is
 * packed for products is then given back, and of this mapping only the rows that are looked up are ever in memory.
 */
const rowsOf = (tensors: ModelTensors, name: string, ids: Value): Value => {
  const g = tensors.graph;
  if (tensors.substitute(name) !== undefined) return g.gather(tensors.float(name), ids);
  const weight = tensors.weight(name);
  switch (weight.kind) {
    case 'float': {
      // Half-precision tables are cast after the rows are picked.
      const table =
        tensors.compute === 'float16'
          ? tensors.float(name, 'float16')
          : tensors.mapped(`${name}.rows`, weight.dtype, weight.shape, weight.data);
      return g.cast(g.gather(table, ids), 'float32');
    }
    case 'int8-rows': {
      const [rows] = weight.shape;
      const table = tensors.mapped(`${name}.rows`, weight.codes, weight.shape, weight.data);
      const scales = tensors.mapped(`${name}.scales`, 'float32', [rows], weight.scales);
      const codes = g.cast(g.gather(table, ids), 'float32');
      const centred = weight.codes === 'int8' ? codes : g.sub(codes, ZERO);
      return g.mul(centred, g.unsqueeze(g.gather(scales, ids), [-1]));
    }
    case 'blocks': {
      const [rows, columns] = weight.shape;
      const { bits, blockSize, zeroPoints, offsets } = weight;
      const perRow = Math.ceil(columns / blockSize);
      const packed = {
        data: tensors.mapped(`${name}.rows`, 'uint8', [rows, (columns * bits) / 8], weight.data),
        scales: tensors.mapped(`${name}.scales`, 'float32', [rows, perRow], weight.scales),
      };
      const zeros =
        zeroPoints === null
          ? {}
          : {
              zeroPoints: tensors.mapped(
                `${name}.zeros`,
                'uint8',
                [rows, Math.ceil((perRow * bits) / 8)],
                zeroPoints,
              ),
            };
      const picked = g.gatherBlockQuantized({ ...packed, ...zeros }, ids, { blockSize, bits });
      if (offsets === null) return picked;
      const table = tensors.mapped(`${name}.offsets`, 'float32', [rows, perRow], offsets);
      const split = g.reshape(picked, [...ids.shape, perRow, blockSize]);
      const shifted = g.add(split, g.unsqueeze(g.gather(table, ids), [-1]));
      return g.reshape(shifted, [...ids.shape, columns]);
    }
    case 'bnb4':
      throw new Error(`${name}: embeddings in bitsandbytes' 4-bit codes don't exist`);
  }
};
