import {
  Context,
  type Emitter,
  type FilterImplOptions,
  type Liquid,
  type Template,
  TypeGuards,
  Value,
  toValue,
} from 'liquidjs';

type FilterHandler = Extract<FilterImplOptions, (...args: never) => unknown>;

/**
 * What one message may cost, in units of about ten nanoseconds. They count work, not time: a process
 * that was stopped for a minute in the middle of a message must render the same when it wakes.
 */
export const MAX_UNITS = 1_000_000;

/** Said of a message that would cost more. */
export const TOO_MUCH_WORK = 'the template takes too many steps';

// What things cost was measured; each is somewhat above the worst that was seen.
const NODE = 80;
const ARGUMENT = 30;
const FILTER = 150;
const READ = 20;
const WRITE = 20;
const ITEM = 12;
const KEY = 4;
// For every item of a list a filter walks, and again for every four characters of its arguments.
const FILTERED_ITEM = 60;
const FILTERED_CHARACTER = 3;

/** The work that is left for one message: all of its parts draw on it. */
export class Budget {
  #spent = 0;

  /** How much was spent since the last `reset`. */
  get spent(): number {
    return this.#spent;
  }

  /** For the next message. */
  reset(): void {
    this.#spent = 0;
  }

  /** @throws Error once the message is too much work */
  spend(units: number): void {
    this.#spent += units;
    if (this.#spent > MAX_UNITS) {
      throw new Error(TOO_MUCH_WORK);
    }
  }
}

/** A context whose reads are work, and in which the engine's own count of allocations is too. */
export class MeteredContext extends Context {
  constructor(scope: object, engine: Liquid, budget: Budget) {
    super(scope, engine.options, { sync: true }, { liquid: engine });
    // Filters and ranges report what they are about to make: characters and items.
    this.memoryLimit.use = (count) => {
      if (Number(count) > 0) {
        budget.spend(Number(count));
      }
    };
  }

  override readProperty(...path: Parameters<Context['readProperty']>): unknown {
    const value: unknown = super.readProperty(...path);
    this.memoryLimit.use(READ + readingCost(value));
    return value;
  }
}

/** Makes whatever the engine renders draw on the budget of its context. */
export function meter(engine: Liquid): void {
  for (const [name, filter] of Object.entries(engine.filters)) {
    engine.registerFilter(
      name,
      typeof filter === 'function'
        ? metered(filter)
        : { handler: metered(filter.handler), raw: filter.raw },
    );
  }
  const { outputEscape } = engine.options;
  if (outputEscape) {
    engine.options.outputEscape = metered(outputEscape);
  }
  const { renderer } = engine;
  const renderTemplates = renderer.renderTemplates.bind(renderer);
  // The body of every loop, branch and capture comes through here, once for each time it is shown.
  renderer.renderTemplates = (templates, context, emitter) => {
    context.memoryLimit.use(costOf(templates));
    return renderTemplates(templates, context, emitter ?? new MeteredEmitter(context));
  };
}

/** The filter, charged for what it is given before it begins. */
function metered(handler: FilterHandler): FilterHandler {
  return function meteredFilter(value: unknown, ...args: unknown[]): unknown {
    const { context } = this;
    const further = args.length === 0 ? 0 : charactersOf(args, context);
    let units = FILTER + (charactersOf(value, context) + further) * FILTERED_CHARACTER;
    if (Array.isArray(value)) {
      units += value.length * FILTERED_ITEM * (1 + further / 4);
    }
    context.memoryLimit.use(units);
    return handler.call(this, value, ...args);
  };
}

class MeteredEmitter implements Emitter {
  buffer = '';

  constructor(private readonly context: Context) {}

  write(value: unknown): void {
    // Text is put together fast; what is escaped has paid the filter.
    this.context.memoryLimit.use(WRITE + charactersOf(value, this.context) / 4);
    this.buffer += shown(value);
  }
}

/** What an output shows of a value, as the engine's own emitter does it. */
function shown(given: unknown): string {
  const value: unknown = toValue(given);
  if (value === undefined || value === null) {
    return '';
  }
  // oxlint-disable-next-line typescript/no-base-to-string -- a message shows it as the engine does
  return Array.isArray(value) ? value.map(shown).join('') : String(value);
}

/**
 * Counts the characters of a value and charges for its items while it walks: a list can hold itself
 * doubled and doubled again, so that nobody would reach its end.
 */
function charactersOf(value: unknown, context: Context): number {
  if (typeof value === 'string') {
    return value.length;
  }
  if (typeof value !== 'object' || value === null) {
    return 0;
  }
  const items: unknown[] = Array.isArray(value) ? value : Object.values(value);
  context.memoryLimit.use(items.length * ITEM);
  let characters = 0;
  for (const item of items) {
    characters += charactersOf(item, context);
  }
  return characters;
}

/** Comparisons walk lists in lists, and texts; loops copy lists and objects. */
function readingCost(value: unknown): number {
  if (typeof value === 'string') {
    return value.length / 4;
  }
  if (Array.isArray(value)) {
    let cost = value.length * ITEM;
    for (const item of value) {
      cost += typeof item === 'string' || Array.isArray(item) ? readingCost(item) : 0;
    }
    return cost;
  }
  return typeof value === 'object' && value !== null ? Object.keys(value).length * KEY : 0;
}

const costs = new WeakMap<Template[], number>();

function costOf(templates: Template[]): number {
  let cost = costs.get(templates);
  if (cost === undefined) {
    cost = templates.reduce((sum, each) => sum + nodeCost(each), 0) || NODE;
    costs.set(templates, cost);
  }
  return cost;
}

/** What is written in a node makes it dear: a condition of a thousand comparisons is one node. */
function nodeCost(template: Template): number {
  let cost = NODE;
  if (TypeGuards.isHTMLToken(template.token)) {
    return cost;
  }
  for (const argument of template.arguments?.() ?? []) {
    const words = argument instanceof Value ? argument.initial.postfix.length : 1;
    cost += ARGUMENT * (1 + words);
  }
  return cost;
}
