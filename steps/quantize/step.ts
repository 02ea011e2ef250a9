// quantize: the linear layers of a model in fewer bits; the result is a model like any other, and stays packed.

import { defineStep, type Complaint } from '../../engine/step.ts';

const withBlocks = ['nf4', 'fp4', 'int4'];

export const quantize = defineStep({
  name: 'quantize',
  version: 3,
  summary: 'Makes a model smaller: its linear layers in 4 or 8 bits.',
  params: {
    type: 'object',
    additionalProperties: false,
    required: ['format'],
    properties: {
      format: {
        type: 'string',
        enum: ['nf4', 'fp4', 'int8', 'int4', 'q8_0', 'q4_0', 'q4_1'],
        description:
          'nf4, fp4, int8: as bitsandbytes (QLoRA, LLM.int8). int4: blocks of 4 bits with a float scale, the fastest to decode on a CPU. q8_0, q4_0, q4_1: as GGUF.',
      },
      double_quant: {
        type: 'boolean',
        default: false,
        description: 'Quantises the scales of the blocks too (nf4, fp4).',
      },
      block_size: {
        type: 'integer',
        enum: [16, 32, 64, 128, 256],
        description: 'Values that share a scale: 64 for nf4 and fp4, 32 for int4 unless given.',
      },
      skip_modules: {
        type: 'array',
        items: { type: 'string' },
        default: ['lm_head'],
        description:
          'Layers that stay as they are, by name or the end of their name. lm_head is the head, and the embeddings where these are the head: without it they are quantised, too (not in nf4 and fp4).',
      },
      activations: {
        type: 'string',
        enum: ['float', 'int16', 'int8'],
        default: 'float',
        description:
          'float: weights only, exact products. int16, int8: steps that use the model also round activations to so many bits; int8 is fastest and least exact.',
      },
    },
  },
  inputs: { model: { kind: 'model' } },
  outputs: () => ({ model: 'model' }),
  check: (params) => {
    const format = typeof params['format'] === 'string' ? params['format'] : '';
    const problems: Complaint[] = [];
    if (params['double_quant'] === true && format !== 'nf4' && format !== 'fp4')
      problems.push({
        pointer: '/double_quant',
        message: `double_quant has no meaning with format: ${format}`,
      });
    if (params['block_size'] !== undefined && !withBlocks.includes(format))
      problems.push({
        pointer: '/block_size',
        message: `the block size of ${format} is fixed`,
      });
    return problems;
  },
  weight: 'light',
  run: async (context) => (await import('./run.ts')).run(context),
});
