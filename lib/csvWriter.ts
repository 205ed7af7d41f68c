/** One record of a CSV file (RFC 4180) with its line end. */
export function csvRow(cells: readonly (string | number | null)[]): string {
  return `${cells.map(csvCell).join(',')}\r\n`;
}

// A spreadsheet runs a cell that begins like a formula, also one that somebody else wrote there
// (https://owasp.org/www-community/attacks/CSV_Injection). An apostrophe makes it text.
function csvCell(value: string | number | null): string {
  if (value === null || typeof value === 'number') {
    return value === null ? '' : String(value);
  }
  const text = /^[=+\-@\t\r\n\uFF1D\uFF0B\uFF0D\uFF20]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
