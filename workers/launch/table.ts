import Table from 'cli-table3';
import type { DemoFacts } from './demo/seed';
import type { Output } from './output';
import { codecUrl, temporalUiUrl } from './parts';
import type { Plan } from './plan';

/** What to show once everything runs: addresses, the demo login, and commands to try next. */
export interface Welcome {
  addresses: Record<string, string>;
  demo: { email: string; password: string; adminEmail?: string | undefined } | undefined;
  tryNext: { what: string; command: string }[];
}

/** Puts together what to show; `demo` is undefined where nothing was seeded. */
export function makeWelcome(plan: Plan, demo: DemoFacts | undefined): Welcome {
  const { publicUrl } = plan;
  const uiUrl = temporalUiUrl(plan);
  const inbox = `http://localhost:${plan.ports.sandbox}`;
  const namespace = plan.config.TEMPORAL_NAMESPACE;
  return {
    addresses: {
      API: `${publicUrl}/api/v1`,
      'API docs': `${publicUrl}/docs`,
      ...(uiUrl === undefined
        ? {}
        : { 'Temporal UI': `${uiUrl}/namespaces/${namespace}/workflows` }),
      'Codec server': codecUrl(plan),
      ...(plan.hasSandbox ? { Inbox: inbox } : {}),
    },
    demo: demo && {
      email: demo.email,
      password: demo.password,
      ...(demo.adminEmail === undefined ? {} : { adminEmail: demo.adminEmail }),
    },
    tryNext: [
      ...(demo === undefined ? [] : demoCommands(publicUrl, demo)),
      ...(plan.hasSandbox
        ? [
            {
              what: 'How many messages were delivered',
              command: `curl -s '${inbox}/api/messages?perPage=1'`,
            },
          ]
        : []),
    ],
  };
}

/** Prints a table for people on a terminal, one JSON line elsewhere. */
export function showWelcome(output: Output, welcome: Welcome): void {
  if (!output.isTerminal) {
    output.print(
      JSON.stringify({
        part: 'start',
        level: 30,
        time: Date.now(),
        msg: 'Carillon is ready',
        ...welcome,
      }),
    );
    return;
  }
  const table = new Table({ style: { head: [], border: ['grey'] } });
  table.push(
    ...Object.entries(welcome.addresses),
    ...(welcome.demo === undefined
      ? []
      : [['Demo login', `${welcome.demo.email}  ${welcome.demo.password}`]]),
    ...(welcome.demo?.adminEmail === undefined
      ? []
      : [['Platform admin', `${welcome.demo.adminEmail}  ${welcome.demo.password}`]]),
  );
  const commands = welcome.tryNext.map(({ what, command }) => `# ${what}\n${command}`).join('\n\n');
  output.print(`\n${table.toString()}\n\nTry next:\n\n${commands}\n`);
}

// Each can be pasted alone: it logs in by itself.
function demoCommands(publicUrl: string, demo: DemoFacts): Welcome['tryNext'] {
  const base = `${publicUrl}/api/v1`;
  const get = (path: string) => readAs(base, demo, path);
  const waiting = demo.campaigns.at(-1);
  return [
    { what: 'Log in and list the campaigns', command: get('/campaigns?fields=id,name,status') },
    ...(waiting === undefined
      ? []
      : [
          {
            what: 'Watch the waves of the campaign that waits for each customer’s local hour',
            command: get(`/campaigns/${waiting.id}/progress`),
          },
        ]),
    ...(demo.adminEmail === undefined || demo.hasModelKeys !== true
      ? []
      : [
          {
            what: 'See how each key of language models stands, and why (one is limited now and then)',
            command: readAs(base, { ...demo, email: demo.adminEmail }, '/admin/llm/keys/status'),
          },
        ]),
  ];
}

function readAs(base: string, who: { email: string; password: string }, path: string): string {
  const credentials = JSON.stringify({ email: who.email, password: who.password });
  const token =
    `TOKEN=$(curl -s ${base}/auth/login -H 'content-type: application/json' -d '${credentials}' ` +
    `| sed -E 's/.*"accessToken":"([^"]+)".*/\\1/')`;
  return `${token}; curl -s "${base}${path}" -H "authorization: Bearer $TOKEN"`;
}
