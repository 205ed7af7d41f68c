/**
 * Apple Mail Privacy Protection loads every image of every mail ahead of its reader, and names itself
 * with these eleven characters alone.
 */
export const appleMailPrivacy = 'Mozilla/5.0';

/**
 * Gmail loads images ahead while a session is open, under this name: a browser of 2015 that ends in a
 * second "Mozilla/5.0". When a person then opens the mail, GoogleImageProxy asks again.
 */
export const gmailPrefetch =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0';

/** Proxies through which web mail shows an image at the moment a person opens the mail. */
export const imageProxies: readonly RegExp[] = [/\bGoogleImageProxy\b/, /^YahooMailProxy\b/];

/** Mail programs that load images while somebody reads; lists of bots take some of them for bots. */
export const mailPrograms: readonly RegExp[] = [
  /\bThunderbird\b/,
  /\bAppleMail\b/,
  /\beM ?Client\b/,
  /^Lotus-Notes\b/,
  /^BlackBerry\d/,
  /\bMicrosoft Outlook\b/,
  /^Outlook-(iOS|Android)\b/,
  /^Airmail\b/,
  /\bPostbox\b/,
  /\bThe Bat!/,
];

/** Mail security products that say who they are and that general lists of bots do not all know. */
export const scannerAgents: readonly RegExp[] = [
  /\bmimecast\b/i,
  /\bproofpoint\b/i,
  /\bbarracuda/i,
  /\bsafe ?links\b/i,
  /\bmessagelabs\b/i,
  /\bforti(mail|guard)\b/i,
  /\btrend ?micro\b/i,
  /\bbitdefender\b/i,
  /\bsophos\b/i,
  /\bironport\b/i,
  /\burl ?defense\b/i,
];
