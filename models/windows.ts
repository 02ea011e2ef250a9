// Sliding windows by layer: each architecture says in its own keys which of its layers have one.

import { ConfigError, maxLength, reader, type ConfigJson } from './config-json.ts';

/** Keys a query sees, per layer; null: all before it. */
export const windows = (
  modelType: string,
  json: ConfigJson,
  layers: number,
): readonly (number | null)[] => {
  const key = reader(json);
  const all = (window: number | null): readonly (number | null)[] =>
    Array<number | null>(layers).fill(window);
  if (modelType === 'llama' || modelType === 'gemma') return all(null);
  const usual = modelType === 'gemma2' || modelType === 'mistral' ? 4096 : undefined;
  const window = key.optionalSize('sliding_window', {
    limit: maxLength,
    ...(usual === undefined ? {} : { fallback: usual }),
  });
  if (window === undefined) return all(null);
  const qwen = modelType === 'qwen2' || modelType === 'qwen3';
  if (qwen && !key.boolean('use_sliding_window', false)) return all(null);
  const types = key.optionalStrings('layer_types');
  if (types !== undefined) {
    if (types.length !== layers)
      throw new ConfigError(`layer_types has ${types.length} entries for ${layers} layers`);
    return types.map((type) => {
      if (type !== 'sliding_attention' && type !== 'full_attention')
        throw new ConfigError(`layer_types holds '${type}', which is not supported`);
      return type === 'sliding_attention' ? window : null;
    });
  }
  if (modelType === 'gemma2')
    return Array.from({ length: layers }, (_, layer) => (layer % 2 === 0 ? window : null));
  if (qwen) {
    const first = key.size('max_window_layers', { fallback: 28 });
    return Array.from({ length: layers }, (_, layer) => (layer >= first ? window : null));
  }
  return all(window);
};
