import { campaignWorkflowId } from '../../../workflows/campaigns/messages';
import { startTestApi, type TestApi } from '../../support/api';
import { campaignsPath, dataOf, postCampaign } from '../../support/campaigns';
import { buildTenant } from '../../support/factories';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(async () => {
  await api.stop();
});

test('schedules, freezes the campaign and starts its workflow', async () => {
  const tenant = await buildTenant(api.deps);
  const { token, tenantId } = tenant;
  const { id } = await postCampaign(api, tenant);
  const answer = await api.send('post', `${campaignsPath}/${id}/schedule`, {
    token,
    json: { schedule: { kind: 'localHour', date: '2027-03-01', time: '09:00' } },
  });

  expect(dataOf(answer, 202)).toMatchObject({
    id,
    status: 'scheduled',
    run: {
      n: 1,
      state: 'planning',
      gate: 'open',
      schedule: {
        kind: 'localHour',
        date: '2027-03-01',
        time: '09:00',
        unknownZone: 'tenant',
        hourPast: 'nextDay',
        windowMinutes: 60,
      },
      doubtPolicy: 'hold',
      doubtDeadlineMinutes: 1440,
    },
  });
  expect(answer.body.meta).toEqual({
    workflowId: campaignWorkflowId(tenantId, id),
    workflow: 'started',
  });
});
