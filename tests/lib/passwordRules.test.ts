import { AppError } from '../../domain/errors';
import { requireGoodPassword } from '../../lib/passwordRules';

const owner = {
  email: 'ana.lopez@bellandbrass.com',
  names: ['Bell & Brass', 'Ana', 'López', null],
};

function codeOf(password: string): string | undefined {
  try {
    requireGoodPassword('password', password, owner);
    return undefined;
  } catch (error) {
    return error instanceof AppError ? error.problems[0]?.code : String(error);
  }
}

test.each([
  ['password1234!', 'commonPassword'],
  ['passwordpassword', 'guessablePassword'],
  ['P@ssw0rd12345', 'commonPassword'],
  ['iloveyou1234567', 'commonPassword'],
  ['bellandbrass1', 'personalPassword'],
  ['analopez2024', 'personalPassword'],
  ['ana.lopez@bellandbrass.com', 'personalPassword'],
  ['carillon2026', 'personalPassword'],
  ['aaaaaaaaaaaa', 'guessablePassword'],
  ['123456123456', 'guessablePassword'],
  ['abcdefghijklmnop', 'guessablePassword'],
])('%s is refused as %s', (password, code) => {
  expect(codeOf(password)).toBe(code);
});

test.each([
  'correct horse battery staple',
  'Xk3vT9q_LmZ-2aPw',
  'nuestro perro come tarde',
  'пароль из четырёх слов',
  '鐘が鳴る町の朝は早い時間',
])('%s is good', (password) => {
  expect(codeOf(password)).toBeUndefined();
});
