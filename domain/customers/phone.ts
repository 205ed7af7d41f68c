/** The number in E.164 ("+4930123456"), or null. Spaces, dots, dashes and brackets are left out. */
export function normalizePhone(text: string): string | null {
  const number = text.replace(/[\s().-]/g, '');
  return /^\+[1-9]\d{6,14}$/.test(number) ? number : null;
}
