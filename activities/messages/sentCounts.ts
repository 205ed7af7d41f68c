/** What became of messages; `dispatches` counts dispatches that made a call. */
export interface SentCounts {
  dispatches: number;
  accepted: number;
  refused: number;
  leftOut: number;
  inDoubt: number;
}

export const nothingSent: SentCounts = {
  dispatches: 0,
  accepted: 0,
  refused: 0,
  leftOut: 0,
  inDoubt: 0,
};
