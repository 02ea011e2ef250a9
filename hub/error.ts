// What can go wrong between this machine and the hub, as values a caller can tell apart. No message holds a token, a
// signed URL or anything else that must not be printed.

export type HubErrorKind =
  /** The repository asks for consent on its page, and the token's account has not given it. */
  | 'gated'
  /** The token is refused. */
  | 'unauthorized'
  | 'missing-repository'
  | 'missing-revision'
  | 'missing-file'
  | 'rate-limited'
  /** The connection kept breaking off before the end of a file. */
  | 'truncated'
  /** What arrived, or lies in the cache, is not what the repository holds. */
  | 'damaged'
  /** HF_HUB_OFFLINE is set, and the cache doesn't hold it. */
  | 'offline'
  | 'unreachable'
  | 'disk-full'
  | 'server';

export class HubError extends Error {
  override readonly name = 'HubError';
  readonly kind: HubErrorKind;
  readonly hint: string | undefined;
  constructor(kind: HubErrorKind, message: string, hint?: string) {
    super(message);
    this.kind = kind;
    this.hint = hint;
  }
}

/** A failure that may pass: tried again until patience ends, then thrown as `error`. */
export class Transient extends Error {
  override readonly name = 'Transient';
  readonly error: HubError;
  /** How long the server asks to wait. */
  readonly waitMs: number | null;
  constructor(error: HubError, waitMs: number | null = null) {
    super(error.message);
    this.error = error;
    this.waitMs = waitMs;
  }
}
