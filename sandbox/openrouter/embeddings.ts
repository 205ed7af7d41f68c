import { diceOf } from './answers/dice';

const PLACES_A_WORD = 12;
const STEM_CHARS = 5;

/** A unit vector of a text: the same for the same text, near for texts that share words. */
export function embed(text: string, dimensions: number): number[] {
  const vector = Array.from({ length: dimensions }, () => 0);
  const words = text.toLowerCase().match(/[\p{L}\d]+/gu) ?? [];
  for (const word of words) {
    add(vector, word, 1);
    // Forms of one word lie near each other.
    if (word.length > STEM_CHARS) {
      add(vector, word.slice(0, STEM_CHARS), 0.5);
    }
  }
  if (words.length === 0) {
    add(vector, text, 1);
  }
  const length = Math.hypot(...vector) || 1;
  return vector.map((value) => value / length);
}

function add(vector: number[], word: string, weight: number): void {
  const dice = diceOf(`word ${word}`);
  for (let n = 0; n < PLACES_A_WORD; n += 1) {
    const at = dice.between(0, vector.length - 1);
    vector[at] = (vector[at] ?? 0) + (dice.next() < 0.5 ? -weight : weight);
  }
}

/** As bytes in base64: little-endian floats of 32 bits. */
export function toBase64(vector: readonly number[]): string {
  return Buffer.from(Float32Array.from(vector).buffer).toString('base64');
}
