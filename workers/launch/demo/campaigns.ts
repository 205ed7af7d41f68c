/** A campaign of the demo as the API takes it; `key` makes its creation safe to repeat. */
export interface DemoCampaign {
  key: string;
  body: {
    name: string;
    channel: 'email';
    audience: { includeTags: string[] };
    content: {
      fromName: string;
      fromEmail: string;
      subject: string;
      preheader: string;
      html: string;
    };
  };
  schedule: DemoSchedule;
}

export type DemoSchedule =
  | { kind: 'now' }
  | {
      kind: 'localHour';
      date: string;
      time: string;
      unknownZone: 'tenant';
      hourPast: 'nextDay';
    };

const shop = { fromName: 'Bell & Brass', fromEmail: 'hello@bellandbrass.example' };

/**
 * One campaign that goes out at once, and one for a local hour that comes to its first readers in a
 * few minutes and to all others, zone by zone, within the day: its waves can be watched.
 */
export function demoCampaigns(now: Date): DemoCampaign[] {
  return [
    {
      key: 'demo-campaign-spring',
      body: {
        name: 'Spring collection: first look',
        channel: 'email',
        audience: { includeTags: [] },
        content: { ...shop, ...springLetter },
      },
      schedule: { kind: 'now' },
    },
    {
      key: 'demo-campaign-hour',
      body: {
        name: 'A letter to our regulars, at their own hour',
        channel: 'email',
        audience: { includeTags: ['loyal', 'newsletter'] },
        content: { ...shop, ...hourLetter },
      },
      schedule: {
        kind: 'localHour',
        ...firstWallClock(new Date(now.getTime() + 4 * 60_000)),
        unknownZone: 'tenant',
        hourPast: 'nextDay',
      },
    },
  ];
}

/** What clocks show at the instant where a day begins first, on Kiritimati (UTC+14, all year). */
function firstWallClock(at: Date): { date: string; time: string } {
  const shown = new Date(at.getTime() + 14 * 3_600_000).toISOString();
  return { date: shown.slice(0, 10), time: shown.slice(11, 16) };
}

const springLetter = {
  subject: '{{ customer.firstName | default: "Hello" }}, the spring bells are in',
  preheader: 'Hand-cast in small numbers, and yours to hear first.',
  html: letter({
    accent: '#b45309',
    banner: 'Spring collection',
    title: 'Hear it first, {{ customer.firstName | default: "friend" }}',
    paragraphs: [
      'The foundry has been busy all winter. Twelve new bells left the moulds this week, and before they go on the shelf we would like you to hear them.',
      'You have <strong>{{ customer.attributes.loyalty_points | default: 0 }} points</strong> with us: every hundred are worth a ribbon, a clapper or a stand of your choice.',
      '{% if customer.attributes.city %}We ship to {{ customer.attributes.city }} within the week.{% else %}We ship everywhere within the week.{% endif %}',
    ],
    button: { text: 'Listen to all twelve', url: 'https://shop.example.com/spring?from=letter' },
    links: [
      { text: 'How a bell is cast', url: 'https://shop.example.com/stories/casting' },
      { text: 'Find a workshop near you', url: 'https://shop.example.com/workshops' },
    ],
  }),
};

const hourLetter = {
  subject:
    'Right on the hour, {{ customer.firstName | default: "dear regular" }}: your gift is ready',
  preheader: 'Only today, wherever your today is.',
  html: letter({
    accent: '#0f766e',
    banner: 'On the hour',
    title: 'A small thank-you for {{ customer.firstName | default: "you" }}',
    paragraphs: [
      'It is the hour we agreed on where you are ({{ customer.timeZone | default: "your corner of the world" }}), and this letter waited for it.',
      'Until tonight, your time, every door chime comes with its hand-forged hook, with our thanks for staying with us.',
    ],
    button: { text: 'Choose your chime', url: 'https://shop.example.com/chimes?gift=hook' },
    links: [{ text: 'Your orders', url: 'https://shop.example.com/orders' }],
  }),
};

// Tables and inline styles: mail programs know little else.
function letter(parts: {
  accent: string;
  banner: string;
  title: string;
  paragraphs: string[];
  button: { text: string; url: string };
  links: { text: string; url: string }[];
}): string {
  const paragraphs = parts.paragraphs
    .map(
      (text) =>
        `<p style="margin:0 0 18px;font-size:16px;line-height:26px;color:#334155">${text}</p>`,
    )
    .join('\n              ');
  const links = parts.links
    .map(({ text, url }) => `<a href="${url}" style="color:${parts.accent}">${text}</a>`)
    .join(' &nbsp;·&nbsp; ');
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>${parts.banner}</title>
  </head>
  <body style="margin:0;background:#f1f5f9;font-family:Georgia,'Times New Roman',serif">
    <table role="presentation" width="100%" cellpadding="0" cellspacing="0">
      <tr>
        <td align="center" style="padding:32px 12px">
          <table role="presentation" width="600" cellpadding="0" cellspacing="0" style="max-width:600px;width:100%;background:#ffffff;border-radius:12px;overflow:hidden">
            <tr>
              <td style="background:${parts.accent};padding:20px 40px;color:#ffffff;font-size:14px;letter-spacing:3px;text-transform:uppercase">Bell &amp; Brass &nbsp;|&nbsp; ${parts.banner}</td>
            </tr>
            <tr>
              <td style="padding:40px 40px 16px">
                <h1 style="margin:0 0 20px;font-size:28px;line-height:36px;font-weight:normal;color:#0f172a">${parts.title}</h1>
              ${paragraphs}
                <p style="margin:28px 0 32px"><a href="${parts.button.url}" style="display:inline-block;background:${parts.accent};color:#ffffff;text-decoration:none;padding:14px 28px;border-radius:8px;font-size:16px">${parts.button.text}</a></p>
                <p style="margin:0 0 24px;font-size:14px;color:#64748b">${links}</p>
              </td>
            </tr>
            <tr>
              <td style="border-top:1px solid #e2e8f0;padding:20px 40px;font-size:12px;line-height:18px;color:#94a3b8">
                You get this because you are a customer of Bell &amp; Brass, 7 Foundry Lane.
                <a href="{{ links.unsubscribe }}" style="color:#94a3b8">Unsubscribe with one click</a>
              </td>
            </tr>
          </table>
        </td>
      </tr>
    </table>
  </body>
</html>
`;
}
