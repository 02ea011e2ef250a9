// Small plots out of characters: braille for a curve, blocks for a bar and a sparkline.

const eighths = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
const levels = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/** A progress bar of exactly `width` characters. */
export const bar = (share: number, width: number): string => {
  const units = Math.round(Math.min(1, Math.max(0, share)) * width * 8);
  const full = '█'.repeat(Math.floor(units / 8));
  const part = eighths[units % 8] ?? '';
  return (full + part).padEnd(width, '░');
};

/** `values` averaged into `width` buckets; fewer values are drawn out, with straight lines between them. */
const resample = (values: readonly number[], width: number): number[] => {
  if (values.length >= width || values.length < 2) return buckets(values, width);
  return Array.from({ length: width }, (_, i) => {
    const at = (i * (values.length - 1)) / (width - 1);
    const left = values[Math.floor(at)] ?? 0;
    const right = values[Math.ceil(at)] ?? left;
    return left + (right - left) * (at - Math.floor(at));
  });
};

/** `values` averaged into (at most) `width` buckets. */
const buckets = (values: readonly number[], width: number): number[] => {
  if (values.length <= width) return [...values];
  return Array.from({ length: width }, (_, i) => {
    const from = Math.floor((i * values.length) / width);
    const to = Math.max(from + 1, Math.floor(((i + 1) * values.length) / width));
    const part = values.slice(from, to);
    return part.reduce((sum, value) => sum + value, 0) / part.length;
  });
};

/** 0..1 for every value, 0.5 where all are the same. */
const scaled = (values: readonly number[]): number[] => {
  const low = Math.min(...values);
  const high = Math.max(...values);
  return values.map((value) => (high === low ? 0.5 : (value - low) / (high - low)));
};

export const sparkline = (values: readonly number[], width: number): string =>
  scaled(buckets(values, width))
    .map((value) => levels[Math.min(7, Math.floor(value * 8))] ?? '')
    .join('');

/** Bits of a braille cell's dots: [column][row from the top]. */
const dots = [
  [0x01, 0x02, 0x04, 0x40],
  [0x08, 0x10, 0x20, 0x80],
] as const;

/**
 * A curve on `height` lines of `width` braille cells (2 x 4 dots each), connected between neighbours. It takes up
 * `share` of the width: the rest is what is still to come.
 */
export const braille = (
  values: readonly number[],
  width: number,
  height: number,
  share = 1,
): string[] => {
  const rows = height * 4;
  const used = Math.max(2, Math.min(width * 2, Math.round(width * 2 * share)));
  const cells = Array.from({ length: height }, () => new Uint8Array(width));
  const heights = scaled(resample(values, used)).map((value) =>
    Math.min(rows - 1, Math.floor((1 - value) * rows)),
  );
  const set = (x: number, y: number): void => {
    const line = cells[Math.floor(y / 4)];
    const column = x % 2 === 0 ? dots[0] : dots[1];
    const bit = column[y % 4] ?? 0;
    const cell = Math.floor(x / 2);
    if (line !== undefined) line[cell] = (line[cell] ?? 0) | bit;
  };
  heights.forEach((y, x) => {
    const before = heights[x - 1] ?? y;
    const step = Math.sign(y - before);
    for (let at = before + step; step !== 0 && at !== y; at += step) set(x, at);
    set(x, y);
  });
  return cells.map((line) =>
    Array.from(line, (cell) => String.fromCodePoint(0x2800 + cell)).join(''),
  );
};
