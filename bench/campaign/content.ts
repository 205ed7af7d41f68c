/** A key that the stand-in takes for SendGrid's. */
export const apiKey = 'SG.benchmark';

/** A newsletter of ordinary size: five merge fields (one with a default) and three tracked links. */
export const newsletter = {
  fromEmail: 'news@shop.example',
  fromName: 'The Corner Shop',
  subject: '{{ customer.firstName | default: "Friend" }}, the spring collection is here',
  html: newsletterHtml(),
  links: [
    'https://shop.example/spring?utm_source=carillon&utm_medium=email&utm_campaign=spring',
    'https://shop.example/account/points?utm_source=carillon&utm_medium=email',
    'https://shop.example/stores?utm_source=carillon&utm_medium=email',
  ],
} as const;

function newsletterHtml(): string {
  const paragraph = (text: string) =>
    `<tr><td style="padding:12px 32px;font-family:Georgia,'Times New Roman',serif;font-size:16px;line-height:24px;color:#2b2b2b">${text}</td></tr>`;
  const button = (address: string, text: string) =>
    `<tr><td align="center" style="padding:20px 32px"><a href="${address}" style="display:inline-block;padding:14px 28px;border-radius:4px;background:#7a1f3d;color:#ffffff;font-family:Arial,sans-serif;font-size:16px;text-decoration:none">${text}</a></td></tr>`;
  return [
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Spring</title></head>',
    '<body style="margin:0;background:#f4efe8"><table role="presentation" width="100%" cellpadding="0" cellspacing="0"><tr><td align="center">',
    '<table role="presentation" width="600" cellpadding="0" cellspacing="0" style="background:#ffffff">',
    '<tr><td style="padding:32px;font-family:Georgia,serif;font-size:28px;color:#7a1f3d">The Corner Shop</td></tr>',
    paragraph('Hello {{ customer.firstName | default: "Friend" }} {{ customer.lastName }},'),
    paragraph(
      'the days are getting longer, and our shelves are filling up with linen, light wool and the first ' +
        'cotton of the year. We have gone through every piece by hand, as we always do, and put aside what ' +
        'we think you will like.',
    ),
    button(
      'https://shop.example/spring?utm_source=carillon&utm_medium=email&utm_campaign=spring',
      'See the spring collection',
    ),
    paragraph(
      'As a {{ customer.attributes.tier }} customer you have {{ customer.attributes.points }} points. ' +
        'Every hundred of them are worth five off your next order, and they stay with you until the end of ' +
        'the year. Orders over eighty are delivered free of charge, wherever you live.',
    ),
    button(
      'https://shop.example/account/points?utm_source=carillon&utm_medium=email',
      'Use your points',
    ),
    paragraph(
      'If you are near {{ customer.attributes.city }} one of these days, come in and have a coffee with us: ' +
        'the new pieces want to be touched. Our people know the house and take their time, and whatever is ' +
        'not in the shop is at your door two days later.',
    ),
    button(
      'https://shop.example/stores?utm_source=carillon&utm_medium=email',
      'Find a shop near you',
    ),
    paragraph('Warm regards,<br>everybody at the Corner Shop'),
    '<tr><td style="padding:24px 32px;font-family:Arial,sans-serif;font-size:12px;line-height:18px;color:#8a8a8a">',
    'You receive this letter because you have bought from us or asked for it. The Corner Shop Ltd, 12 Market Street, Old Town.',
    '</td></tr></table></td></tr></table></body></html>',
  ].join('\n');
}
