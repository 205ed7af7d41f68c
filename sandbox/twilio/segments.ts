// The vendor's `num_segments`.
const GSM = /^[\n\f\r !-Z\\[\]^_a-~¡£¤¥§¿ÄÅÆÇÉÑÖØÜßàäåæèéìñòöøùüΓΔΘΛΞΠΣΦΨΩ€]*$/;
const ESCAPED = /[\f^{}\\[~\]|€]/g;

export function countSegments(text: string): number {
  const isGsm = GSM.test(text);
  const units = isGsm ? text.length + (text.match(ESCAPED)?.length ?? 0) : text.length;
  const [alone, joined] = isGsm ? [160, 153] : [70, 67];
  return units <= alone ? 1 : Math.ceil(units / joined);
}
