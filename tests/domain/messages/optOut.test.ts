import { optOutWish } from '../../../domain/messages/optOut';

test.each([
  ['STOP', 'stop'],
  ['stop', 'stop'],
  ['  Stop. ', 'stop'],
  ['"STOP"', 'stop'],
  ['Unsubscribe', 'stop'],
  ['END', 'stop'],
  ['quit!', 'stop'],
  ['stopall', 'stop'],
  ['Stop all', 'stop'],
  ['REVOKE', 'stop'],
  ['opt-out', 'stop'],
  ['Opt out', 'stop'],
  ['cancel', 'stop'],
  ['Stopp', 'stop'],
  ['Arrêt', 'stop'],
  ['стоп', 'stop'],
  ['Stop promotions', 'stop'],
  ['Unsubscribe from all', 'stop'],
  ['START', 'start'],
  ['yes', 'start'],
  ['Unstop', 'start'],
  ['help?', 'help'],
  ['INFO', 'help'],
  ['', null],
  ['…', null],
  ['stop by at nine', null],
  ['please stop', null],
  ['do not cancel my order', null],
  ['yes please', null],
  ['constructor', null],
  ['__proto__', null],
])('%p asks for %p', (text, wish) => {
  expect(optOutWish(text)).toBe(wish);
});

test.each([
  ['what the vendor says counts where the words say nothing', 'Adios', 'STOP', 'stop'],
  ['the vendor may know words of its own for starting', 'JOIN', 'START', 'start'],
  ['and for help', 'Quien eres', 'HELP', 'help'],
  ['a stop that only the words show is a stop', 'STOP', 'START', 'stop'],
  ['a stop that only the vendor shows is a stop', 'YES', 'STOP', 'stop'],
  ['a type that is new is not one', 'hello', 'PAUSE', null],
  ['and hides no word', 'START', 'PAUSE', 'start'],
])('%s', (_, text, vendorSays, wish) => {
  expect(optOutWish(text, vendorSays)).toBe(wish);
});
