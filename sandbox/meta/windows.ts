const OPEN_MS = 24 * 3_600_000;

/** When each customer wrote to each number last: what may be answered without a template. */
export interface Windows {
  open(phoneNumberId: string, customer: string, at: number): void;
  isOpen(phoneNumberId: string, customer: string, at: number): boolean;
}

/** Kept in memory: after a restart customers have to write again. */
export function createWindows(): Windows {
  const writtenAt = new Map<string, number>();
  const key = (phoneNumberId: string, customer: string) =>
    `${phoneNumberId} ${customer.replace(/^\+/, '')}`;
  return {
    open(phoneNumberId, customer, at) {
      writtenAt.set(key(phoneNumberId, customer), at);
    },
    isOpen(phoneNumberId, customer, at) {
      const last = writtenAt.get(key(phoneNumberId, customer));
      return last !== undefined && at - last < OPEN_MS;
    },
  };
}
