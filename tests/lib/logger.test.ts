import { createLogger } from '../../lib/logger';
import { redactText } from '../../lib/redaction';

/** What is written of one line. */
function written(log: (logger: ReturnType<typeof createLogger>) => void) {
  let text = '';
  const destination = {
    write: (line: string) => {
      text += line;
    },
  };
  log(createLogger({ name: 'test', level: 'trace', destination }));
  return { text, line: JSON.parse(text) };
}

const jwt = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJlLW9mLWl0';

describe('a text', () => {
  test.each([
    ['an address', 'refused kim.lee+a@example.co.uk today', 'kim.lee'],
    ['an address outside of ASCII', 'to büro@münchen.example', 'büro'],
    ['an address in a query', '/customers?email=kim%40example.com&x=1', 'kim'],
    ['a number', 'called +4915112345678.', '4915112345678'],
    ['a number of WhatsApp', 'whatsapp:+14155550123', '14155550123'],
    ['a bearer', `Authorization: Bearer ${jwt}`, 'eyJ'],
    ['a JWT alone', `token ${jwt} is over`, 'c2lnbmF0dXJl'],
    ['an API key', 'ck_AbCdEf0123456789AbCdEf', 'AbCdEf'],
    ['a key of a vendor', 'key SG.abcdefgh.ijklmnop refused', 'ijklmnop'],
    ['a password in an address', 'postgres://carillon:sesame@db:5432/carillon', 'sesame'],
    ['a query', 'GET https://a.example/x?code=sesame failed', 'sesame'],
    ['a fragment', 'https://a.example/reset#sesame', 'sesame'],
    ['a link of a mail', 'GET /t/c/AbC-sesame_9/3 is unknown', 'sesame'],
    ['a random text', 'token Zm9vYmFyMDEyMzQ1Njc4OWFiY2RlZg12 is used', 'Zm9vYmFy'],
    ['a private key', '-----BEGIN PRIVATE KEY-----\nMIGHAgEA\n-----END PRIVATE KEY-----', 'MIGH'],
  ])('loses %s', (_, text, secret) => {
    expect(text).toContain(secret);
    expect(redactText(text)).not.toContain(secret);
  });

  test.each([
    'campaign 0190a000-0000-7000-8000-0000000000ab paused',
    'connect ECONNREFUSED 127.0.0.1:5432',
    'https://api.sendgrid.com/v3/mail/send answered 503',
    'carillon_http_request_duration_seconds',
    '12 of 1000000 messages in 4.2 s',
    'at send (/app/dist/activities/messages/sendWave.js:12:34)',
  ])('keeps: %s', (text) => {
    expect(redactText(text)).toBe(text);
  });

  test('is looked through in little time, however it is made', () => {
    const started = process.cpuUsage();
    for (const part of ['a', 'a.', '/', 'a-', '@', '+1', '://', 'aA1', '?=', '"']) {
      redactText(part.repeat(1_000_000));
    }
    // Looking through all of it would take more than a minute.
    expect(process.cpuUsage(started).user).toBeLessThan(10_000_000);
  });
});

describe('a line', () => {
  test('hides fields by their names, however deep', () => {
    const { line } = written((logger) =>
      logger.info(
        {
          tenantId: 'a-tenant',
          tokenCount: 3,
          apiKeyId: 'a-key',
          password: 'sesame',
          request: { headers: { authorization: 'sesame', cookie: 'sesame' } },
          list: [{ refreshToken: 'sesame', firstName: 'Kim' }],
          bytes: Buffer.from('sesame'),
        },
        'request',
      ),
    );
    expect(JSON.stringify(line)).not.toMatch(/sesame|Kim/);
    expect(line).toMatchObject({ tenantId: 'a-tenant', tokenCount: 3, apiKeyId: 'a-key' });
  });

  test('hides what its message holds, also that of an error alone', () => {
    expect(written((logger) => logger.warn('to kim@example.com')).text).not.toContain('kim');
    const failed = written((logger) => logger.error(new Error('no mail to kim@example.com')));
    expect(failed.text).not.toContain('kim');
    expect(failed.line.err.type).toBe('Error');
  });

  test('tells of an error its words, its code, its frames and its causes, and no more', () => {
    const cause = Object.assign(
      new Error('insert into t values ($1) - invalid input syntax for type uuid: "kim is "here""'),
      {
        code: '22P02',
        severity: 'ERROR',
        detail: 'Failing row contains (kim, +4915112345678).',
        bindings: ['kim'],
        where: 'unnamed portal parameter $1 = kim',
        config: { headers: { Authorization: 'sesame' } },
      },
    );
    const error = new AggregateError([cause], 'all failed for kim@example.com', { cause });
    const { line, text } = written((logger) => logger.error({ err: error }, 'request failed'));

    expect(text).not.toMatch(/kim|4915112345678|sesame/);
    expect(line.err.cause).toMatchObject({ code: '22P02', severity: 'ERROR' });
    expect(line.err.cause.message).toContain('insert into t values ($1)');
    expect(line.err.stack).toContain('logger.test');
    expect(line.err.errors).toHaveLength(1);
  });

  test.each([
    ['duplicate key value violates unique constraint "users_email"', '"users_email"'],
    ['column "a" of relation "b" does not exist', 'column "a" of relation "b"'],
  ])('keeps the names Postgres quotes: %s', (message, kept) => {
    const error = Object.assign(new Error(message), { code: '23505', severity: 'ERROR' });
    expect(written((logger) => logger.error({ err: error }, 'x')).line.err.message).toContain(kept);
  });

  test.each(['value "kim" is out of range', 'time zone "kim" not recognized'])(
    'hides the values Postgres quotes: %s',
    (message) => {
      const error = Object.assign(new Error(message), { code: '22003', severity: 'ERROR' });
      expect(written((logger) => logger.error({ err: error }, 'x')).text).not.toContain('kim');
    },
  );
});
