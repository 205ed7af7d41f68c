import { createTrackingTokens } from '../../lib/trackingTokens';

const first = { id: 1, secret: 'a secret of the first year, 32 b' };
const second = { id: 2, secret: 'a secret of the next year, 32 by' };
const runId = '01934c5a-8f00-7abc-8def-0123456789ab';
const otherRunId = '01934c5a-8f00-7abc-8def-0123456789ac';

describe('tracking tokens', () => {
  const tokens = createTrackingTokens([first]);

  it.each([0, 1, 255, 256, 399_999, 2 ** 31, 2 ** 32 - 1])('gives back message %d', (messageN) => {
    const token = tokens.token({ runId, messageN });
    expect(token).toMatch(/^[A-Za-z0-9_-]{46}$/);
    expect(tokens.verify(token)).toEqual({ runId, messageN });
  });

  it('keeps runs apart, in whatever order they are signed', () => {
    const made = [runId, otherRunId, runId].map((id) => tokens.token({ runId: id, messageN: 1 }));
    expect(made.map((token) => tokens.verify(token)?.runId)).toEqual([runId, otherRunId, runId]);
    expect(made[0]).toBe(made[2]);
  });

  it('refuses a token with any character changed', () => {
    const token = tokens.token({ runId, messageN: 5 });
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    for (let index = 0; index < token.length; index += 1) {
      for (const character of alphabet) {
        const changed = token.slice(0, index) + character + token.slice(index + 1);
        expect(tokens.verify(changed) === null).toBe(changed !== token);
      }
    }
  });

  it('refuses what is no token', () => {
    const token = tokens.token({ runId, messageN: 5 });
    for (const text of [
      '',
      'x',
      token.slice(1),
      `${token}A`,
      `${token}=`,
      `${token.slice(0, 45)}=`,
      ` ${token.slice(1)}`,
      'é'.repeat(46),
      '+/'.repeat(23),
    ]) {
      expect(tokens.verify(text)).toBeNull();
    }
  });

  it('refuses a token signed with a secret of the same id', () => {
    const forger = createTrackingTokens([{ id: 1, secret: 'a secret that somebody else made' }]);
    expect(tokens.verify(forger.token({ runId, messageN: 5 }))).toBeNull();
  });

  it('verifies old secrets after a new one was put before them', () => {
    const old = tokens.token({ runId, messageN: 5 });
    const rotated = createTrackingTokens([second, first]);
    const fresh = rotated.token({ runId, messageN: 5 });
    expect(rotated.verify(old)).toEqual({ runId, messageN: 5 });
    expect(rotated.verify(fresh)).toEqual({ runId, messageN: 5 });
    expect(tokens.verify(fresh)).toBeNull();
  });

  it.each([-1, 1.5, 2 ** 32, Number.NaN])('refuses to sign message %d', (messageN) => {
    expect(() => tokens.token({ runId, messageN })).toThrow(RangeError);
  });

  it('refuses to sign a run that is no id, and signs the next', () => {
    expect(() => tokens.token({ runId: 'run', messageN: 1 })).toThrow(TypeError);
    expect(tokens.verify(tokens.token({ runId, messageN: 1 }))).toEqual({ runId, messageN: 1 });
  });

  it.each([
    ['none', []],
    ['an id twice', [first, { ...second, id: 1 }]],
    ['an id that is no byte', [{ ...first, id: 256 }]],
    ['a short one', [{ id: 1, secret: 'short' }]],
  ])('refuses these secrets: %s', (_what, secrets) => {
    expect(() => createTrackingTokens(secrets)).toThrow(RangeError);
  });
});
