import { randomBytes } from 'node:crypto';
import { Secret, TOTP } from 'otpauth';
import { toString as qrToString } from 'qrcode';

const stepSeconds = 30;

/** A new seed for an app that shows codes, in base32. */
export function newTotpSecret(): string {
  return new Secret({ size: 20 }).base32;
}

/** What such an app reads out of a QR code. */
export function totpUrl(secret: string, label: string): string {
  return totpOf(secret, label).toString();
}

/** The address as a QR code. */
export function qrSvg(url: string): Promise<string> {
  return qrToString(url, { type: 'svg', margin: 2, errorCorrectionLevel: 'M' });
}

/**
 * The step of time (RFC 6238) that the code is of: this one, or the one before or after it, because
 * clocks differ and typing takes time. Null for a wrong code.
 */
export function totpStep(secret: string, code: string, at: Date): number | null {
  const delta = totpOf(secret, '').validate({ token: code, timestamp: at.getTime(), window: 1 });
  return delta === null ? null : Math.floor(at.getTime() / 1000 / stepSeconds) + delta;
}

/** Ten codes to be written down, 80 random bits each. */
export function newRecoveryCodes(): string[] {
  return Array.from({ length: 10 }, () =>
    (
      new Secret({ buffer: new Uint8Array(randomBytes(10)).buffer }).base32.match(/.{4}/g) ?? []
    ).join('-'),
  );
}

/** The code however it was typed. */
export function normalizedRecoveryCode(code: string): string {
  return code.toUpperCase().replace(/[^A-Z2-7]/g, '');
}

function totpOf(secret: string, label: string): TOTP {
  return new TOTP({
    issuer: 'Carillon',
    label,
    algorithm: 'SHA1',
    digits: 6,
    period: stepSeconds,
    secret: Secret.fromBase32(secret),
  });
}
