// GPT-2's byte-level alphabet: every byte has a printable character, which is how vocabularies of byte-level BPE
// spell it (openai/gpt-2, src/encoder.py, bytes_to_unicode).

const isPrintable = (byte: number): boolean =>
  (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;

/** The character of each byte, by byte. */
export const byteCharacters: readonly string[] = (() => {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCharCode(isPrintable(byte) ? byte : next++),
  );
})();
