// Gates: conditions on a comparison, such as "accuracy >= baseline - 0.01" or "rouge_l > 0.3". Parsed, never evaluated.

export interface Gate {
  readonly expression: string;
  readonly metric: string;
  readonly operator: '>=' | '>' | '<=' | '<';
  /** Whether `offset` is added to the baseline's value. */
  readonly againstBaseline: boolean;
  readonly offset: number;
}

const number = String.raw`\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\d+`;
const pattern = new RegExp(
  String.raw`^\s*([a-z][a-z0-9_]*)\s*(>=|<=|>|<)\s*(?:(baseline)(?:\s*([+-])\s*(${number}))?|([+-]?)(${number}))\s*$`,
);

export const gateSyntax =
  'METRIC >= NUMBER, or METRIC >= baseline [+|- NUMBER]; also >, <=, < (for example "accuracy >= baseline - 0.01")';

/** The gate, or null where the text isn't one (`gateSyntax` says what is). */
export const parseGate = (expression: string): Gate | null => {
  const match = pattern.exec(expression);
  if (match === null) return null;
  const [, metric = '', operator, baseline, sign, offset, plainSign, plain] = match;
  const value = baseline === undefined ? Number(plain) : Number(offset ?? 0);
  const negative = (baseline === undefined ? plainSign : sign) === '-';
  return {
    expression: expression.trim(),
    metric,
    operator: operator as Gate['operator'],
    againstBaseline: baseline !== undefined,
    offset: negative ? -value : value,
  };
};

/** Rounding of decimals must not decide a gate: 0.45 - 0.01 is not below 0.44. */
const slack = 1e-12;

export const gateHolds = (gate: Gate, baseline: number, candidate: number): boolean => {
  const bound = (gate.againstBaseline ? baseline : 0) + gate.offset;
  switch (gate.operator) {
    case '>=':
      return candidate >= bound - slack;
    case '>':
      return candidate > bound + slack;
    case '<=':
      return candidate <= bound + slack;
    case '<':
      return candidate < bound - slack;
  }
};
