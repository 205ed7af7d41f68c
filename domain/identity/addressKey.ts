/**
 * What somebody is looked up and counted by who names this address: in lower case. Accounts have plain
 * ASCII addresses; any other character is written as its number behind a backslash, which no address
 * has. Programs disagree about the lower case of some of them (the Kelvin sign, the dotted I), so that
 * one person would be looked up while attempts are counted for another.
 */
export function addressKey(address: string): string {
  return address
    .trim()
    .replace(/[^ -~]/g, (unit) => `\\${unit.charCodeAt(0).toString(16)}`)
    .toLowerCase();
}
