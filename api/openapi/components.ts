import { z } from 'zod';

/** A JSON Schema as it stands in the document. */
export type JsonSchema = Record<string, unknown>;

type Direction = 'input' | 'output';

/**
 * Collects the named schemas (those with `.meta({ id })`) of a document while others refer to them.
 * What a caller sends may differ from what they get under the same name, so the former end in Input.
 */
export class Components {
  readonly schemas: Record<string, JsonSchema> = {};

  /** The schema in place, or a reference to it when it has a name. */
  schemaOf(schema: z.ZodType, direction: Direction): JsonSchema {
    const nameOf = (id: string) => (direction === 'input' ? `${id}Input` : id);
    const {
      $defs,
      $schema: _,
      ...body
    } = z.toJSONSchema(schema, {
      io: direction,
      target: 'draft-2020-12',
      override: ({ jsonSchema }) => simplify(jsonSchema, direction),
    });
    for (const [id, definition] of Object.entries($defs ?? {})) {
      this.schemas[nameOf(id)] = pointed(definition, nameOf);
    }
    return pointed(body, nameOf);
  }

  /** The same schema, or the same for each item, where any field may have been left out. */
  partOf(schema: JsonSchema): JsonSchema {
    if (schema['type'] === 'array' && isSchema(schema['items'])) {
      return { ...schema, items: this.partOf(schema['items']) };
    }
    const { $ref: reference } = schema;
    const name = typeof reference === 'string' ? (reference.split('/').at(-1) ?? '') : '';
    const { [name]: named } = this.schemas;
    if (named === undefined) {
      return withoutRequired(schema);
    }
    this.schemas[`${name}Part`] = withoutRequired(named);
    return { $ref: `#/components/schemas/${name}Part` };
  }
}

function withoutRequired(schema: JsonSchema): JsonSchema {
  const { required: _, ...open } = schema;
  return open;
}

/** Whether it is a schema, or another object of the document. */
export function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function simplify(schema: JsonSchema, direction: Direction): void {
  // The format says it; the pattern is a line of noise.
  if (schema['format'] === 'uuid' || schema['format'] === 'date-time') {
    delete schema['pattern'];
  }
  // An answer may grow; only what is sent to us is closed.
  if (direction === 'output' && schema['additionalProperties'] === false) {
    delete schema['additionalProperties'];
  }
}

// References to `$defs` become references to components.
function pointed(schema: object, nameOf: (id: string) => string): JsonSchema {
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [key, pointedValue(value, nameOf)]),
  );
}

function pointedValue(value: unknown, nameOf: (id: string) => string): unknown {
  if (typeof value === 'string' && value.startsWith('#/$defs/')) {
    return `#/components/schemas/${nameOf(value.slice('#/$defs/'.length))}`;
  }
  if (Array.isArray(value)) {
    return value.map((item: unknown) => pointedValue(item, nameOf));
  }
  return typeof value === 'object' && value !== null ? pointed(value, nameOf) : value;
}
