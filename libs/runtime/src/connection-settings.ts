import { z } from 'zod';
import { path, setting, type Settings } from './setting.ts';

/** Postgres by certificate: the URL holds no password. */
export const postgresSettings = {
  POSTERN_POSTGRES_URL: setting(postgresUrl(), "The service's database, with the service's role and no password.", {
    example: 'postgresql://crypto_store@postgres:5432/crypto_store',
  }),
  POSTERN_POSTGRES_POOL_SIZE: setting(z.coerce.number().int().min(1).max(200), 'Connections of one replica.', {
    default: 10,
  }),
} satisfies Settings;

/** Only for the migration entry point. */
export const migrationSettings = {
  POSTERN_POSTGRES_OWNER_URL: setting(
    postgresUrl(),
    "The same database with the owner's role; used by migrations only.",
    {
      example: 'postgresql://crypto_store_owner@postgres:5432/crypto_store',
    },
  ),
} satisfies Settings;

export const cacheSettings = {
  POSTERN_CACHE_URL: setting(z.url({ protocol: /^rediss$/ }), 'The cache Redis (mutual TLS), with its user.', {
    example: 'rediss://crypto-store@redis-cache:6379',
  }),
  POSTERN_CACHE_PASSWORD: setting(z.string().min(1).max(1024).optional(), 'Password of that user.', { secret: true }),
} satisfies Settings;

export const busSettings = {
  POSTERN_BUS_URL: setting(
    z.url({ protocol: /^rediss$/ }),
    'The bus Redis (mutual TLS, its own instance), with its user.',
    {
      example: 'rediss://crypto-store@redis-bus:6380',
    },
  ),
  POSTERN_BUS_PASSWORD: setting(z.string().min(1).max(1024).optional(), 'Password of that user.', { secret: true }),
  POSTERN_BUS_TLS_CERT_PATH: setting(
    path,
    "PEM file with the bus client's certificate; the bus has its own client CA (R21).",
    {
      example: '/run/bus-tls/tls.crt',
    },
  ),
  POSTERN_BUS_TLS_KEY_PATH: setting(path, 'PEM file with its private key.', { example: '/run/bus-tls/tls.key' }),
  POSTERN_BUS_TLS_CA_PATH: setting(path, "PEM file with the CA of the bus server's certificate.", {
    example: '/run/bus-tls/ca.crt',
  }),
  POSTERN_AUDIT_LOG_KEY: setting(
    z.string().max(1024).optional(),
    "The log's verifier key, pinned: the relay believes no other but those that it endorsed (R27). Default: the first one seen.",
    { example: 'audit.example.com+8d4c2a11+AYk...' },
  ),
} satisfies Settings;

function postgresUrl() {
  return z.url({ protocol: /^postgres(ql)?$/ }).refine((url) => new URL(url).password === '');
}
