export { openAgent, type AgentOptions, type MtlsAgent } from './agent.ts';
export { verifyChain } from './certificate-chain.ts';
export { postgresTls, redisTls, type ClientTls } from './client-tls.ts';
export { watchTlsMaterial, type TlsFiles, type TlsMaterial, type TlsPaths, type WatchOptions } from './material.ts';
export { peerOf, peerOfCertificate, workloadOf, type Peer, type WorkloadTable } from './peer.ts';
export { redisAddress, type RedisAddress } from './redis-address.ts';
export { endedLate, newRedisClient } from './redis-client.ts';
export { openRedis, type RedisClient, type RedisHandle, type RedisOptions } from './redis.ts';
export { followRotation, serverTlsOptions } from './server.ts';
export { signAsWorkload } from './sign-as-workload.ts';
export {
  SignatureRefused,
  verifyWorkloadSignature,
  type ExpectedSigner,
  type WorkloadSigned,
} from './verify-workload-signature.ts';
