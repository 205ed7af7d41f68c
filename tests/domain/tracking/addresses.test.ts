import { locationOf } from '../../../domain/tracking/locationOf';
import { maskAddress } from '../../../domain/tracking/maskAddress';

test.each([
  'https://shop.example/sale',
  'HTTPS://X.example',
  "https://shop.example/a%2fb/../c?q=1&q=2&x=%C3%BC&y=a+b|c'd[]{}&empty=#frag%20ment?x",
  'http://user:pass@shop.example:80/;p=1?https://other.example/',
])('%s is left as it was written', (url) => {
  expect(locationOf(url)).toBe(url);
});

test.each([
  ['https://shop.example/ä b?c=ü&d=%20#é', 'https://shop.example/%C3%A4%20b?c=%C3%BC&d=%20#%C3%A9'],
  ['http://bücher.example/?q=日本', 'http://xn--bcher-kva.example/?q=%E6%97%A5%E6%9C%AC'],
  ['https://me@bücher.example:8443/A%2f', 'https://me@xn--bcher-kva.example:8443/A%2f'],
  [' https://shop.example/x\t', 'https://shop.example/x'],
  ['https://shop.example/a\r\nSet-Cookie: x=1', 'https://shop.example/a%0D%0ASet-Cookie:%20x=1'],
])('%j becomes %s, as a browser would ask for it', (url, location) => {
  expect(locationOf(url)).toBe(location);
});

test.each([
  'javascript:alert(1)',
  'data:text/html,x',
  '//evil.example',
  '/relative',
  'ftp://x/',
  'https://',
  'https://bad host/',
  '',
])('%j is no web address', (url) => {
  expect(locationOf(url)).toBeNull();
});

test.each([
  ['kim@example.com', 'k•••@e•••.com'],
  ['k@shop.example.co.uk', 'k•••@s•••.uk'],
  ['ü@localhost', 'ü•••@l•••'],
  ['+491701234589', '+4•••89'],
  ['+4917', '+4•••'],
  ['', '•••'],
])('%s is shown as %s', (address, masked) => {
  expect(maskAddress(address)).toBe(masked);
});

test('an address of other letters stays one however often it is asked', () => {
  const address = 'https://bücher.example/';
  const wrong = Array.from({ length: 50_000 }, () => locationOf(address)).filter(
    (location) => location !== 'https://xn--bcher-kva.example/',
  );
  expect(wrong).toHaveLength(0);
});
