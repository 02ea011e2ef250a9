// What is wrong in a file a user wrote, and where. Every reader of user files returns all of these at once.

export interface Position {
  /** 1-based line. */
  readonly line: number;
  /** 1-based column, in UTF-16 code units. */
  readonly column: number;
}

export interface Location {
  /** Path as it is shown: relative to the working directory where it lies below it. */
  readonly file: string;
  readonly start: Position;
  /** Exclusive. On a later line where the node spans lines; the squiggle then ends with the first line. */
  readonly end: Position;
  /** Text of the line `start.line`, without its line break. */
  readonly sourceLine: string;
}

export interface Diagnostic {
  readonly severity: 'error' | 'warning';
  /** `E1xx` syntax, `E2xx` structure and edges, `E3xx` parameters, `E4xx` planning, `E5xx` run time; `Wxxx` warnings. */
  readonly code: string;
  readonly message: string;
  /** Absent for problems of the command line, such as a file that doesn't exist. */
  readonly location?: Location;
  /** How to mend it; shown beside the squiggle. */
  readonly hint?: string;
  readonly related?: readonly { readonly message: string; readonly location: Location }[];
}
