// A curve for the screen: a bounded number of points however long a training runs, and its moving average. Pure.

export interface Series {
  /** Averages of `stride` values each, oldest first. */
  readonly points: readonly number[];
  readonly stride: number;
  /** Sum and number of values not yet in a point. */
  readonly open: { readonly sum: number; readonly count: number };
  readonly last: number | null;
  /** Exponential moving average with its bias taken out. */
  readonly ema: number | null;
  readonly weight: number;
}

const most = 512;
const decay = 0.95;

export const noSeries: Series = {
  points: [],
  stride: 1,
  open: { sum: 0, count: 0 },
  last: null,
  ema: null,
  weight: 0,
};

const halve = (points: readonly number[]): number[] => {
  const halved: number[] = [];
  for (let i = 0; i + 1 < points.length; i += 2)
    halved.push(((points[i] ?? 0) + (points[i + 1] ?? 0)) / 2);
  return halved;
};

export const addPoint = (series: Series, value: number): Series => {
  if (!Number.isFinite(value)) return { ...series, last: value };
  const weight = decay * series.weight + (1 - decay);
  const sum = series.open.sum + value;
  const count = series.open.count + 1;
  const full = count >= series.stride;
  const points = full ? [...series.points, sum / count] : series.points;
  const crowded = points.length >= most;
  return {
    points: crowded ? halve(points) : points,
    stride: crowded ? series.stride * 2 : series.stride,
    open: full ? { sum: 0, count: 0 } : { sum, count },
    last: value,
    ema: ((series.ema ?? 0) * decay * series.weight + (1 - decay) * value) / weight,
    weight,
  };
};
