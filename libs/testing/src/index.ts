export { issueSelfSigned, openAuthority, type Authority, type IssueOptions, type Leaf } from './authority/authority.ts';
export { type LeafNames } from './authority/certificates.ts';
export { busCa, developmentCa } from './authority/development-ca.ts';
export { fixedTls, type FixedTls } from './authority/fixed-tls.ts';
export { wrongClients, type Credential } from './authority/wrong-clients.ts';
export { DEVELOPMENT_TRUST_DOMAIN, spiffeIdOf, WORKLOADS } from './authority/workloads.ts';
export { asAdmin, type PostgresAdmin } from './postgres/admin.ts';
export { ensureDatabase, type ServiceDatabase } from './postgres/database.ts';
export { postgresForTests, type TestDatabase, type TestPostgres } from './postgres/for-tests.ts';
export { ownerRoleOf, roleOf } from './postgres/logins.ts';
export { plainWayTo, postgresToolsFolder } from './postgres/tools.ts';
export { startPostgres, type PostgresServer, type PostgresServerOptions } from './postgres/server.ts';
export { leaksOf, newCanary } from './run/canary.ts';
export { installedProgram } from './debian/program.ts';
export { freePort } from './run/free-port.ts';
export { goProgram } from './run/go-program.ts';
export { inherited } from './run/inherited.ts';
export { tcpProxy, type TcpProxy } from './run/tcp-proxy.ts';
export { startLeashed, type Leashed, type LeashedOptions } from './run/leash.ts';
export { startBalancer, type BalancedFront, type BalancedServer, type Balancer } from './balancer/start.ts';
export { startReplicatedRedis, type ReplicatedRedis } from './redis/sentinels.ts';
export { redisForTests, type RedisPair, type TestRedis, type TestRedisUser } from './redis/for-tests.ts';
export {
  asRedisAdmin,
  startRedis,
  type RedisAdmin,
  type RedisAdminClient,
  type RedisServer,
  type RedisServerOptions,
  type RedisUser,
} from './redis/server.ts';
export { testRun, TEST_RUN_VARIABLE, type TestRun } from './run/test-run.ts';
export * from './identity-provider/index.ts';
export { describeWith, realPart, type RealPart } from './real-part.ts';
export { type MintOptions, type TokenKind } from './token-issuer/claims.ts';
export { testIssuer, type TestIssuer, type TestIssuerOptions } from './token-issuer/test-issuer.ts';
export * from './keycloak/index.ts';
export { oneRowOfEach, removedFrom, rowsOfEach } from './one-row-of-each.ts';
