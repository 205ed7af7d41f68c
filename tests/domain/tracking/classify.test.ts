import { classify, type Engagement } from '../../../domain/tracking/classify';

const chrome =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/146.0.0.0 Safari/537.36';
const gmail =
  'Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)';
const hour = 3_600_000;

function engagement(given: Partial<Engagement> = {}): Engagement {
  return {
    kind: 'opened',
    method: 'GET',
    userAgent: chrome,
    purposes: [],
    network: null,
    sinceHandoverMs: hour,
    isMachineByProvider: false,
    ...given,
  };
}

const people: [string, string][] = [
  ['Chrome', chrome],
  [
    'Safari on an iPhone',
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1',
  ],
  ['Firefox', 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'],
  [
    "Facebook's browser on Android",
    'Mozilla/5.0 (Linux; Android 14; Pixel 8 Build/UQ1A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/120.0.6099.43 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/443.0;]',
  ],
  [
    'the Google app',
    'Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) GSA/277.0 Mobile/15E148 Safari/604.1',
  ],
  [
    'a phone whose maker is called Cubot',
    'Mozilla/5.0 (Linux; Android 9; CUBOT_X18_Plus) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/90.0.4430.210 Mobile Safari/537.36',
  ],
];

test.each(people)('%s opens and clicks for a person', (_name, userAgent) => {
  for (const kind of ['opened', 'clicked'] as const) {
    expect(classify(engagement({ kind, userAgent }))).toEqual({
      class: 'human',
      because: 'person',
    });
  }
});

const openers: [string, string, string][] = [
  ['Gmail, by its proxy', gmail, 'human/imageProxy'],
  [
    'Yahoo, by its proxy',
    'YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html',
    'human/imageProxy',
  ],
  ['Thunderbird by its bare name', 'Thunderbird', 'human/person'],
  [
    'Thunderbird',
    'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.0',
    'human/person',
  ],
  [
    'Outlook on Windows',
    'Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; WOW64; Trident/7.0; .NET4.0C; .NET4.0E; Microsoft Outlook 16.0.4266)',
    'human/person',
  ],
  ['Outlook on iOS', 'Outlook-iOS/711.2620504.prod.iphone (3.34.0)', 'human/person'],
  [
    'Apple Mail without privacy protection',
    'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)',
    'human/person',
  ],
  ['Apple Mail Privacy Protection', 'Mozilla/5.0', 'machine/applePrivacy'],
  [
    "Gmail's prefetching",
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0',
    'machine/gmailPrefetch',
  ],
];

test.each(openers)('%s opens', (_name, userAgent, wanted) => {
  const verdict = classify(engagement({ userAgent }));
  expect(`${verdict.class}/${verdict.because}`).toBe(wanted);
});

const bots = [
  'curl/8.5.0',
  'Wget/1.21',
  'python-requests/2.31.0',
  'Go-http-client/2.0',
  'Java/17.0.1',
  'axios/1.6.0',
  'node',
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/126.0.0.0 Safari/537.36',
  'Mozilla/5.0 (compatible; Google-Safety; +http://www.google.com/bot.html)',
  'Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)',
  'facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)',
  'Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)',
  'WhatsApp/2.23.20.0',
  'SkypeUriPreview Preview/0.5',
  'BarracudaCentral/1.0',
  'Mozilla/5.0 (compatible; Mimecast)',
  'Mozilla/5.0 (compatible; Proofpoint; url defense)',
];

test.each(bots)('%s is a bot', (userAgent) => {
  for (const kind of ['opened', 'clicked'] as const) {
    expect(classify(engagement({ kind, userAgent }))).toMatchObject({ class: 'bot' });
  }
});

const others: [string, Partial<Engagement>, string][] = [
  ['a HEAD', { method: 'HEAD' }, 'bot/otherMethod'],
  ['what SendGrid says is a machine', { isMachineByProvider: true }, 'machine/providerSays'],
  ['no user agent', { userAgent: ' ' }, 'bot/noAgent'],
  ['Sec-Purpose: prefetch;prerender', { purposes: ['prefetch;prerender'] }, 'machine/prefetch'],
  ['X-Moz: prefetch', { purposes: ['', 'prefetch'] }, 'machine/prefetch'],
  ['X-Purpose: preview', { purposes: ['preview'] }, 'machine/prefetch'],
  ['a purpose that says nothing', { purposes: ['', 'navigation'] }, 'human/person'],
  ['a click by an image proxy', { kind: 'clicked', userAgent: gmail }, 'bot/knownBot'],
  ['a click with a bare Mozilla', { kind: 'clicked', userAgent: 'Mozilla/5.0' }, 'bot/knownBot'],
  ['an opening from a scanner', { network: 'scanner' }, 'bot/scannerNetwork'],
  ['a click from a scanner', { kind: 'clicked', network: 'scanner' }, 'bot/scannerNetwork'],
  ['an opening by web mail', { network: 'mailHost' }, 'human/person'],
  ['a click from a mail host', { kind: 'clicked', network: 'mailHost' }, 'bot/scannerNetwork'],
  ['an opening at the delivery', { sinceHandoverMs: 1_999 }, 'machine/openedTooSoon'],
  ['an opening before the delivery', { sinceHandoverMs: -20_000 }, 'machine/openedTooSoon'],
  [
    "Gmail's proxy at the delivery",
    { userAgent: gmail, sinceHandoverMs: 300 },
    'machine/openedTooSoon',
  ],
  ['an opening after two seconds', { sinceHandoverMs: 2_000 }, 'human/person'],
  ['a click at the delivery', { kind: 'clicked', sinceHandoverMs: 4_999 }, 'bot/clickedTooSoon'],
  ['a click after five seconds', { kind: 'clicked', sinceHandoverMs: 5_000 }, 'human/person'],
  [
    'a click nobody knows the delivery of',
    { kind: 'clicked', sinceHandoverMs: null },
    'human/person',
  ],
  [
    'a click at once on this machine',
    { kind: 'clicked', network: 'ownMachine', sinceHandoverMs: 1 },
    'human/person',
  ],
];

test.each(others)('%s', (_name, given, wanted) => {
  const verdict = classify(engagement(given));
  expect(`${verdict.class}/${verdict.because}`).toBe(wanted);
});
