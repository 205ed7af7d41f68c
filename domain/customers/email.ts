const maxLength = 254;
const localPart = /^[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*$/;
const domainLabel = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i;

/**
 * The address without spaces around it and with its domain in lower case, or null when mail could
 * not be sent to it. Before the @ it stays as it was written: only its host may say that case means nothing.
 */
export function normalizeEmail(text: string): string | null {
  const address = text.trim();
  const at = address.lastIndexOf('@');
  const local = address.slice(0, at);
  const domain = address.slice(at + 1).toLowerCase();
  return address.length <= maxLength && at > 0 && isLocalPart(local) && isDomain(domain)
    ? `${local}@${domain}`
    : null;
}

function isLocalPart(text: string): boolean {
  // Mail programs decode what looks like an encoded word (RFC 2047) in an address, too: what they
  // show, and answer to, would be another one.
  return text.length <= 64 && localPart.test(text) && !text.includes('=?');
}

function isDomain(text: string): boolean {
  const labels = text.split('.');
  return (
    labels.length >= 2 &&
    labels.every((label) => domainLabel.test(label)) &&
    !/^\d+$/.test(labels.at(-1) ?? '')
  );
}
