import { type Context, Liquid, LiquidError, type Template, filters } from 'liquidjs';
import { type Budget, MeteredContext, meter } from './budget';
import { type Recipient, RenderFailure } from './content';
import { formatDate } from './formatDate';

// They print in the zone of whichever machine renders, and `date` can do what they do.
const JEKYLL_DATE_FILTERS = [
  'date_to_xmlschema',
  'date_to_rfc822',
  'date_to_string',
  'date_to_long_string',
];

// Their texts are programs that nobody checked, run once for every item of a list.
const EXPRESSION_FILTERS = Object.keys(filters).filter((name) => name.endsWith('_exp'));

// Reading a date and its zone costs more than its few characters say.
const DATE_UNITS = 2_000;

/** Liquid whose output is escaped for HTML, unless it ends in `| raw`. */
export const htmlEngine = createEngine('escape');

/** Liquid whose output is left as it is: for subjects and text parts. */
export const plainEngine = createEngine(undefined);

/** What every recipient of one compiled content sees alike. */
export interface SharedValues {
  campaignName: string;
  tenantName: string;
  /** What a message was asked for with. */
  data?: Readonly<Record<string, unknown>>;
}

/**
 * A fresh scope for one part of one message. `at` is what "now" means to date filters; `budget` is
 * one for all parts of the message.
 */
export function createContext(
  engine: Liquid,
  values: { recipient: Recipient; shared: SharedValues; at: Date; budget: Budget },
): Context {
  const { recipient, shared, budget } = values;
  const context = new MeteredContext(
    {
      customer: {
        email: recipient.email,
        firstName: recipient.firstName,
        lastName: recipient.lastName,
        phone: recipient.phone,
        language: recipient.language,
        timeZone: recipient.timeZone,
        externalId: recipient.externalId,
        tags: recipient.tags,
        attributes: recipient.attributes,
      },
      campaign: { name: shared.campaignName },
      tenant: { name: shared.tenantName },
      links: recipient.links,
      ...(shared.data === undefined ? {} : { data: shared.data }),
    },
    engine,
    budget,
  );
  context.setRegister('at', values.at);
  return context;
}

/**
 * Renders nodes in a context made by `createContext`, on which assignments stay for later nodes.
 *
 * @throws RenderFailure
 */
export function renderNodes(engine: Liquid, nodes: Template[], context: Context): string {
  let text: unknown;
  try {
    text = engine.renderSync(nodes, context);
  } catch (error) {
    throw new RenderFailure(plainMessage(error), { cause: error });
  }
  if (context.breakCalled || context.continueCalled) {
    throw new RenderFailure('break or continue outside of a loop');
  }
  return String(text);
}

/** Liquid's message without the position it appends. */
export function plainMessage(error: unknown): string {
  if (LiquidError.is(error)) {
    return (error.originalError?.message ?? error.message).replace(/, line:\d+, col:\d+$/, '');
  }
  return error instanceof Error ? error.message : String(error);
}

function createEngine(outputEscape: 'escape' | undefined): Liquid {
  const engine = new Liquid({
    strictFilters: true,
    ownPropertyOnly: true,
    // A missing field is an everyday thing in customer data and renders as nothing.
    strictVariables: false,
    ...(outputEscape ? { outputEscape } : {}),
  });
  // Other files are not a template's business.
  for (const tag of ['include', 'render', 'layout', 'block']) {
    delete engine.tags[tag];
  }
  // A random pick would show one thing in the preview and another in the message.
  engine.unregisterFilter('sample');
  for (const name of [...JEKYLL_DATE_FILTERS, ...EXPRESSION_FILTERS]) {
    engine.unregisterFilter(name);
  }
  engine.registerFilter('date', function date(value: unknown, format: unknown, zone: unknown) {
    this.context.memoryLimit.use(DATE_UNITS);
    const isNow = value === 'now' || value === 'today';
    return (
      formatDate({
        value: isNow ? this.context.getRegister('at') : value,
        format: typeof format === 'string' ? format : undefined,
        zone: typeof zone === 'number' || typeof zone === 'string' ? zone : undefined,
      }) ?? value
    );
  });
  meter(engine);
  return engine;
}
