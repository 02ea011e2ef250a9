// The few wire formats of Protocol Buffers that an ONNX model needs, as a growing byte buffer.
// https://protobuf.dev/programming-guides/encoding/

const text = new TextEncoder();

/** Bytes of the longest varint: 64 bits in pieces of 7. */
const LONGEST = 10;

export class ProtobufWriter {
  #bytes = new Uint8Array(1024);
  #length = 0;

  /** Any integer field; negative numbers take ten bytes, as int64 does. Nothing is left out, zeros included. */
  int(field: number, value: number | bigint): this {
    this.#varint(field << 3);
    this.#varint(value);
    return this;
  }

  float(field: number, value: number): this {
    this.#varint((field << 3) | 5);
    this.#reserve(4);
    new DataView(this.#bytes.buffer).setFloat32(this.#length, value, true);
    this.#length += 4;
    return this;
  }

  string(field: number, value: string): this {
    return this.bytes(field, text.encode(value));
  }

  bytes(field: number, value: Uint8Array): this {
    this.#varint((field << 3) | 2);
    this.#varint(value.length);
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
    return this;
  }

  /** A nested message, written by `body` in its place; its length, known only then, goes before it. */
  message(field: number, body: (writer: this) => void): this {
    this.#varint((field << 3) | 2);
    const start = this.#length;
    body(this);
    const end = this.#length;
    this.#varint(end - start);
    const size = this.#length - end;
    const length = this.#bytes.slice(end, end + size);
    this.#bytes.copyWithin(start + size, start, end);
    this.#bytes.set(length, start);
    return this;
  }

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #varint(value: number | bigint): void {
    this.#reserve(LONGEST);
    // Most are small: tags, lengths, enumerations.
    if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 31) {
      let rest = value;
      while (rest > 127) {
        this.#bytes[this.#length++] = (rest & 127) | 128;
        rest >>= 7;
      }
      this.#bytes[this.#length++] = rest;
      return;
    }
    let rest = BigInt.asUintN(64, BigInt(value));
    while (rest > 127n) {
      this.#bytes[this.#length++] = Number(rest & 127n) | 128;
      rest >>= 7n;
    }
    this.#bytes[this.#length++] = Number(rest);
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}
