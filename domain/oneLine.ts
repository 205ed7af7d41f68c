/**
 * No line breaks and no other control characters (Unicode's Cc). It is written as ranges because it
 * stands in the OpenAPI document, whose readers do not all know `\p{Cc}`.
 */
// oxlint-disable-next-line no-control-regex -- They are what it is about.
export const noControls = /^[^\u0000-\u001f\u007f-\u009f]*$/;
