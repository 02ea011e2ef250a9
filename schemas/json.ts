// JSON values as types, shared by everything that reads or writes documents.

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

/** A JSON Schema (draft-07). Plain data: MESA ships validators compiled from it, not the compiler. */
export type JsonSchema = JsonObject;
