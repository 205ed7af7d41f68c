import { fireCampaign, writeCampaign } from '../../bench/chaos/campaign';
import { startProcessGround, type ProcessGround } from '../../bench/chaos/ground';
import { faultPlan, planKills } from '../../bench/chaos/plan';
import { setSandboxFaults } from '../../bench/chaos/sandboxFigures';
import { storm } from '../../bench/chaos/storm';
import { everybodyOnce, settle, timings } from './support';

jest.setTimeout(180_000);

const seed = 'short';
let ground: ProcessGround;

beforeAll(async () => {
  ground = await startProcessGround({ ...timings, workers: 2, seed, restartAfterMs: 200 });
});

afterAll(() => ground.stop());

test('the same seed plans the same kills, all while the campaign is being sent', () => {
  const options = { seed: '7', workers: 10, others: ['api', 'temporal', 'postgres'] as const };
  const kills = planKills({ ...options, others: [...options.others] });
  expect(planKills({ ...options, others: [...options.others] })).toEqual(kills);
  expect(kills.filter(({ victim }) => victim === 'worker')).toHaveLength(10);
  expect(kills.every(({ atShare }) => atShare > 0 && atShare < 0.95)).toBe(true);
  expect(planKills({ ...options, others: [...options.others], seed: '8' })).not.toEqual(kills);
});

test('everybody gets the campaign once while workers, API and servers are killed', async () => {
  await setSandboxFaults(ground.sandboxUrl, {
    ...faultPlan(seed, ['drop', '429', 'events']),
    latencyMs: 100,
    latencyJitterMs: 200,
  });
  const [customers, zones] = [5_000, 150];
  const campaign = await fireCampaign(ground, {
    ...(await writeCampaign(ground, customers, { zoneCount: zones })),
    customers,
    // A call whose process was killed before its bytes left has no event to wait for.
    doubtPolicy: 'sendAgain',
    doubtDeadlineMs: 20_000,
  });
  const kills = planKills({ seed, workers: 3, others: ['api'] });
  await storm(ground, customers, kills, {
    deadlineAt: Date.now() + 90_000,
    onKill: () => undefined,
  });
  expect(await settle(ground, campaign, 90_000)).toMatchObject(everybodyOnce(campaign));
});
