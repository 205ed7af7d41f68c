import { MessagePreview, PreviewMessage } from '../../domain/messages/schema';
import { smsSegments } from '../../domain/messages/smsSegments';
import { publicUrl } from '../../lib/publicUrl';
import { loadCampaignContent } from '../../models/campaigns/contents';
import { json } from '../bodies';
import { reply, route } from '../route';
import { renderShown, shownCustomer } from './rendering';

const previewCampaign = route({
  method: 'post',
  path: '/campaigns/:id/preview',
  name: 'previewCampaign',
  summary: 'One customer’s message, byte for byte as it would be delivered now',
  description:
    'Only the addresses of links, pixel and unsubscribe page differ: those of a delivery name the message, those of a preview lead nowhere and count for nobody. Of a text message it also says into how many segments it is cut; an address that is longer in a delivery may add one.',
  tags: ['campaigns'],
  permission: 'campaign:test',
  params: { id: 'campaign' },
  body: json(PreviewMessage),
  idempotent: true,
  answers: { 200: MessagePreview },
  async handler({ params: { id }, body, inTenant, tenantId, deps }) {
    const { content, customer } = await inTenant(async (trx) => ({
      content: await loadCampaignContent(trx, tenantId, id),
      customer: await shownCustomer(trx, tenantId, body.customerId),
    }));
    const message = renderShown(content, customer, {
      publicUrl: publicUrl(deps.config),
      isTracked: true,
    });
    return reply(200, {
      contentVersion: content.version,
      customerId: body.customerId ?? null,
      ...(message.channel === 'sms'
        ? { ...message, segments: smsSegments(message.body) }
        : message),
    });
  },
});

export const previewRoutes = [previewCampaign];
