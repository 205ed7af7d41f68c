import { suppressionChannels } from '../customers/types';

/** The channels a customer can turn on and off, in the order they are shown. */
export const preferenceChannels = suppressionChannels;
export type PreferenceChannel = (typeof preferenceChannels)[number];

/**
 * `off`: the customer said so. `blocked`: it stands suppressed for another reason (it bounced, it
 * complained, the sender stopped it), which a page in a mail does not undo.
 */
export type PreferenceState = 'on' | 'off' | 'blocked';
