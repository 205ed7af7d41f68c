import { z } from 'zod';
import { wholeNumber } from '../lists';

/** `run=2`: which run of the campaign is meant; the newest when it is left out. */
export const runFilter = {
  run: wholeNumber(1, 1_000_000)
    .optional()
    .meta({ description: 'Number of the run; the newest when left out' }),
};

export const whichRun = z.strictObject(runFilter);
