// An application that reads its secrets from AWS Secrets Manager by the official client: prints its reads a second of its own CPU.
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';

type Asked = {
  endpoint: string;
  region: string;
  credentials: { accessKeyId: string; secretAccessKey: string };
  names: string[];
};

const CALLERS = 20;
const WARM_UP = 600;
const MEASURED = 1_200;

const { names, ...at } = JSON.parse(process.argv[2] ?? '{}') as Asked;
const client = new SecretsManagerClient(at);

async function read(count: number): Promise<void> {
  let next = 0;
  const caller = async () => {
    for (let n = next++; n < count; n = next++) {
      const { SecretString } = await client.send(new GetSecretValueCommand({ SecretId: names[n % names.length] }));
      if (SecretString === undefined) throw new Error('a secret without a value');
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
}

await read(WARM_UP);
const before = process.cpuUsage();
await read(MEASURED);
const { user, system } = process.cpuUsage(before);
process.stdout.write(String(MEASURED / ((user + system) / 1e6)));
client.destroy();
