// What a step wants a person to see: data, never markup. Whoever shows it owns the looks.

import type { Json } from './json.ts';

export type ReportBlock =
  /** One short line for the step's row on screen, such as "acc 0.412 ±0.011 (n=1986)". */
  | { readonly kind: 'headline'; readonly text: string }
  | {
      readonly kind: 'table';
      readonly title: string;
      readonly columns: readonly string[];
      readonly rows: readonly (readonly Json[])[];
    }
  | {
      readonly kind: 'series';
      readonly title: string;
      readonly x: string;
      readonly y: string;
      readonly points: readonly (readonly [number, number])[];
    }
  | { readonly kind: 'markdown'; readonly text: string };
