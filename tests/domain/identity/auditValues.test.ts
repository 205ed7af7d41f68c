import { auditable, differences, hidden } from '../../../domain/identity/auditValues';

describe('what the audit log keeps', () => {
  test.each([
    'password',
    'passwordHash',
    'password_hash',
    'accessToken',
    'refresh_token',
    'clientSecret',
    'credentials',
    'mfaSeed',
    'totp',
    'apiKey',
    'APIKey',
    'api_key',
    'recoveryCodes',
    'privateJwk',
    'Authorization',
    'webhook-signature',
  ])('hides the value of %s', (name) => {
    expect(auditable({ [name]: 'open sesame' })).toEqual({ [name]: hidden });
    expect(auditable({ [name]: { deep: ['open sesame'] } })).toEqual({ [name]: hidden });
    expect(auditable({ list: [{ inner: { [name]: 'open sesame' } }] })).toEqual({
      list: [{ inner: { [name]: hidden } }],
    });
  });

  test.each([
    ['an API key of ours', 'ck_live_0123456789abcdef'],
    ['a JWT', 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl'],
    ['a key of SendGrid', 'the key is SG.abcdefgh12345678.x'],
    ['a key of an AI vendor', 'sk-or-v1-0123456789abcdef'],
    ['a private key', '-----BEGIN PRIVATE KEY-----\nMIG'],
    ['a password in an address', 'smtp://bell:sesame@mail.example.com'],
    ['a header', 'Bearer abcdefghijklmnop'],
  ])('hides %s wherever it stands', (_, text) => {
    expect(auditable({ note: text, notes: [text] })).toEqual({ note: hidden, notes: [hidden] });
    expect(Object.keys(auditable({ [text]: 1 }))).toEqual([hidden]);
  });

  test('keeps what is harmless, and says whether a secret is there', () => {
    const values = {
      name: 'Monkey business',
      apiKeyId: '0190a000-0000-7000-8000-000000000000',
      monkey: 'see',
      settings: { host: 'mail.example.com', port: 587 },
      scopes: ['campaign:read'],
      hasPassword: true,
      token: null,
    };
    expect(auditable(values)).toEqual(values);
  });

  test('keeps little of what is large, deep or unreadable', () => {
    const kept = auditable({
      text: 'x'.repeat(10_000),
      list: Array.from({ length: 1_000 }, (_, i) => i),
      zero: 'a\u0000b',
      at: new Date(0),
      bytes: Buffer.from('abc'),
    });
    expect(kept['text']).toHaveLength(501);
    expect(kept['list']).toHaveLength(50);
    expect(kept['zero']).toBe('a\u{FFFD}b');
    expect(kept['at']).toBe('1970-01-01T00:00:00.000Z');
    expect(kept['bytes']).toBe(hidden);
    const wide = Object.fromEntries(
      Array.from({ length: 50 }, (_, i) => [`field${i}`, 'x'.repeat(500)]),
    );
    expect(auditable(wide)).toEqual({ tooLarge: true });
    const deep: Record<string, unknown> = {};
    deep['self'] = deep;
    expect(JSON.stringify(auditable(deep))).toContain(hidden);
  });

  test('tells apart what a change made different', () => {
    const before = { name: 'A', active: true, settings: { port: 25 } };
    const after = { name: 'B', active: true, settings: { port: 25 }, isNew: 1 };
    expect(differences(before, after)).toEqual({
      before: { name: 'A' },
      after: { name: 'B', isNew: 1 },
    });
  });
});
