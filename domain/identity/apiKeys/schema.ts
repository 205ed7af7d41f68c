import { z } from 'zod';
import { instantBetween } from '../../customers/schema';
import { scopes } from '../permissions';

const maxDays = 366;
const maxNetworks = 50;

/** An address or a network, of IPv4 or IPv6, as Postgres reads it too. */
const network = z
  .union([z.cidrv4(), z.cidrv6(), z.ipv4(), z.ipv6()], {
    error: 'Is not an address or a network, such as "192.0.2.0/24" or "2001:db8::/32".',
  })
  // Who comes by IPv4 is known by that address, so that this one would fit nobody.
  .refine((text) => !/^::ffff:\d+\./i.test(text), 'Write it as the IPv4 address it is.');

/** An API key as somebody writes it, whole. */
export const WriteApiKey = z
  .strictObject({
    name: z.string().trim().min(1).max(200),
    scopes: z
      .array(z.enum(scopes))
      .min(1)
      .transform((names) => [...new Set(names)])
      .meta({ description: 'What it opens; permissions of /docs/permissions' }),
    expiresAt: instantBetween(
      () => [new Date(), new Date(Date.now() + maxDays * 86_400_000)],
      `Must be in the future, at most ${maxDays} days from now.`,
    )
      .nullable()
      .default(null)
      .meta({ description: `At most ${maxDays} days from now; null until it is revoked` }),
    allowedIps: z
      .array(network)
      .max(maxNetworks)
      .default([])
      .transform((networks) => [...new Set(networks)])
      .meta({ description: 'Addresses or networks it may be used from; none named means all' }),
  })
  .meta({ id: 'WriteApiKey' });

export const ApiKey = z
  .object({
    id: z.uuid(),
    name: z.string(),
    prefix: z.string().meta({ description: 'The beginning of the key, to know it by' }),
    scopes: z.array(z.string()),
    expiresAt: z.iso.datetime().nullable(),
    allowedIps: z.array(z.string()),
    lastUsedAt: z.iso.datetime().nullable().meta({ description: 'To the minute' }),
    lastUsedIp: z.string().nullable(),
    createdBy: z.uuid().nullable(),
    createdAt: z.iso.datetime(),
    revokedAt: z.iso.datetime().nullable(),
    isActive: z.boolean(),
  })
  .meta({ id: 'ApiKey' });

export const NewApiKey = ApiKey.extend({
  key: z
    .string()
    .nullable()
    .meta({ description: 'Shown this once: null when the request is repeated' }),
}).meta({ id: 'NewApiKey' });
