/** What the sandbox has counted since it was last cleared. */
export interface SinkFigures {
  calls: number;
  messages: number;
  firstCallAtMs: number;
  lastCallAtMs: number;
}

/** From the first call's arrival to the last one's. */
export function secondsBetween({ firstCallAtMs, lastCallAtMs }: SinkFigures): number {
  return (lastCallAtMs - firstCallAtMs) / 1000;
}

/** Makes the sandbox forget what it counted. */
export async function clearSink(url: string): Promise<void> {
  const response = await fetch(`${url}/api/messages`, { method: 'DELETE' });
  await response.arrayBuffer();
  if (!response.ok) {
    throw new Error(`The sandbox would not clear its figures: ${response.status}`);
  }
}

export async function readSink(url: string): Promise<SinkFigures> {
  const response = await fetch(`${url}/api/stats`);
  const stats: {
    accepted: number;
    delivered: number;
    firstCallAt: string | null;
    lastCallAt: string | null;
  } = JSON.parse(await response.text());
  return {
    calls: stats.accepted,
    messages: stats.delivered,
    firstCallAtMs: Date.parse(stats.firstCallAt ?? ''),
    lastCallAtMs: Date.parse(stats.lastCallAt ?? ''),
  };
}
