/** An address as its owner knows it again and a stranger cannot write to it: `k•••@e•••.com`, `+4•••89`. */
export function maskAddress(address: string): string {
  const at = address.lastIndexOf('@');
  if (at === -1) {
    return `${address.slice(0, 2)}•••${address.length > 8 ? address.slice(-2) : ''}`;
  }
  const domain = address.slice(at + 1);
  const dot = domain.lastIndexOf('.');
  const ending = dot === -1 ? '' : domain.slice(dot);
  return `${firstLetter(address.slice(0, at))}•••@${firstLetter(domain)}•••${ending}`;
}

function firstLetter(text: string): string {
  return /^./su.exec(text)?.[0] ?? '';
}
