import { compileStored } from '../../domain/messages/compileStored';
import { previewRecipient } from '../../domain/messages/preview';
import { MessagePreview, PreviewMessage } from '../../domain/messages/schema';
import { publicUrl } from '../../lib/publicUrl';
import { emailContent, loadCampaignContent } from '../../models/campaigns/contents';
import { json } from '../bodies';
import { reply, route } from '../route';
import { renderShown, shownCustomer } from './rendering';

const previewCampaign = route({
  method: 'post',
  path: '/campaigns/:id/preview',
  name: 'previewCampaign',
  summary: 'One customer’s message, byte for byte as it would be delivered now',
  description:
    'Only the addresses of links, pixel and unsubscribe page differ: those of a delivery name the message, those of a preview lead nowhere and count for nobody.',
  tags: ['campaigns'],
  permission: 'campaign:test',
  params: { id: 'campaign' },
  body: json(PreviewMessage),
  idempotent: true,
  answers: { 200: MessagePreview },
  async handler({ params: { id }, body, inTenant, tenantId, deps }) {
    const { content, customer } = await inTenant(async (trx) => ({
      content: emailContent(await loadCampaignContent(trx, tenantId, id)),
      customer: await shownCustomer(trx, tenantId, body.customerId),
    }));
    const compiled = compileStored(content);
    const recipient = previewRecipient(customer, publicUrl(deps.config));
    return reply(200, {
      contentVersion: content.version,
      customerId: body.customerId ?? null,
      from: { email: content.fromEmail, name: content.fromName },
      replyTo: content.replyTo,
      ...renderShown(compiled, recipient),
      links: compiled.links,
    });
  },
});

export const previewRoutes = [previewCampaign];
