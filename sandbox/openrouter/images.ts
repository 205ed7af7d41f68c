import { crc32, deflateSync } from 'node:zlib';
import { diceOf } from './answers/dice';

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const SIDE = 96;

/** A small picture (PNG) whose colours are the prompt's own: a slope with a disc on it. */
export function drawImage(prompt: string, place: number): Buffer {
  const dice = diceOf(`${prompt}/${place}`);
  const colour = () => [dice.between(40, 220), dice.between(40, 220), dice.between(40, 220)];
  const [from, to, disc] = [colour(), colour(), colour()];
  const [centreX, centreY] = [dice.between(24, 72), dice.between(24, 72)];
  const radius = dice.between(12, 24);
  const rows = Buffer.alloc(SIDE * (1 + SIDE * 3));
  let at = 0;
  for (let y = 0; y < SIDE; y += 1) {
    // Each row begins with its filter: none.
    rows[at++] = 0;
    for (let x = 0; x < SIDE; x += 1) {
      const isDisc = (x - centreX) ** 2 + (y - centreY) ** 2 < radius ** 2;
      const share = (x + y) / (2 * SIDE);
      for (let c = 0; c < 3; c += 1) {
        const slope = (from[c] ?? 0) * (1 - share) + (to[c] ?? 0) * share;
        rows[at++] = isDisc ? (disc[c] ?? 0) : Math.round(slope);
      }
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(SIDE, 0);
  header.writeUInt32BE(SIDE, 4);
  // Eight bits a channel, red, green and blue.
  header[8] = 8;
  header[9] = 2;
  return Buffer.concat([
    SIGNATURE,
    part('IHDR', header),
    part('IDAT', deflateSync(rows)),
    part('IEND', Buffer.alloc(0)),
  ]);
}

function part(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const whole = Buffer.alloc(body.length + 8);
  whole.writeUInt32BE(data.length, 0);
  body.copy(whole, 4);
  whole.writeUInt32BE(crc32(body), body.length + 4);
  return whole;
}
