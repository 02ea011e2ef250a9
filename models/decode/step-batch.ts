// One step of many rows: each adds the token it got last to what its place of the cache holds.

import type { Feed } from '../../tensor/session.ts';
import type { KeyValueCache } from './cache.ts';
import { cacheFeeds } from './runner.ts';

export interface LastToken {
  readonly token: number;
  /** In the row, its prompt included. */
  readonly position: number;
}

const idle: LastToken = { token: 0, position: 0 };

/** Feeds of one step, made once for a number of places and filled anew each time. */
export class StepBatch {
  readonly cache: KeyValueCache;
  readonly #ids: Int32Array;
  readonly #positions: BigInt64Array;
  readonly #feeds: { ids: Feed; positions: Feed; lengths: Feed; select: Feed };
  #cacheFeeds: readonly Feed[];

  constructor(cache: KeyValueCache) {
    const { places } = cache;
    this.cache = cache;
    this.#ids = new Int32Array(places);
    this.#positions = new BigInt64Array(places);
    this.#feeds = {
      ids: { data: this.#ids, shape: [places, 1] },
      // Before the new token a row has as many cached positions as the token's own position.
      positions: { data: this.#positions, shape: [places, 1] },
      lengths: { data: this.#positions, shape: [places, 1] },
      select: { data: Int32Array.from({ length: places }, (_, at) => at), shape: [places] },
    };
    this.#cacheFeeds = cacheFeeds(cache);
  }

  /** By place; an idle one reads token 0 at position 0. */
  fill(rows: readonly (LastToken | null)[]): void {
    let longest = 0;
    for (let place = 0; place < this.cache.places; place += 1) {
      const { token, position } = rows[place] ?? idle;
      this.#ids[place] = token;
      this.#positions[place] = BigInt(position);
      longest = Math.max(longest, position + 1);
    }
    this.cache.reserve(longest);
    this.cache.trim(longest);
    if (this.cache.arrays[0] !== this.#cacheFeeds[0]?.data) {
      this.#cacheFeeds = cacheFeeds(this.cache);
    }
  }

  feeds(): {
    ids: Feed;
    positions: Feed;
    lengths: Feed;
    select: Feed;
    cache: readonly Feed[];
  } {
    return { ...this.#feeds, cache: this.#cacheFeeds };
  }
}
