/** What an author writes for a text message: a Liquid template. */
export interface SmsContent {
  body: string;
}

/** One text message, ready to be read. */
export interface RenderedSms {
  body: string;
}

/** No vendor takes a longer text, in however many segments it would travel. */
export const maxSmsLength = 1_600;
