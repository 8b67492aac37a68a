import { createEnvelope, type BranchKeySource } from '@postern/envelope';
import { stockSdk } from '@postern/testing/encryption-sdk';
import { randomBytes, randomUUID } from 'node:crypto';

import { perCpuSecond, type Case, type Pair } from '../measure.ts';

const ONE_KIB = 1024;

/** 1 KiB under a cached branch key, each message with a context of its own. */
const both = async (choose: (sides: Sides) => Omit<Pair, 'close'>): Promise<Pair> => {
  const id = randomUUID();
  const version = randomUUID();
  const key = randomBytes(32);
  const held = { id, version: Buffer.from(version.replaceAll('-', ''), 'hex'), key };
  const keys: BranchKeySource = {
    withActive: async (_id, use) => use(held),
    withVersion: async (_id, _version, use) => use(held),
  };
  return {
    ...choose({ id, envelope: createEnvelope(keys), stock: stockSdk({ id, version, key }) }),
    close: async () => {},
  };
};

type Sides = { id: string; envelope: ReturnType<typeof createEnvelope>; stock: ReturnType<typeof stockSdk> };

const against = '@aws-crypto/client-node, hierarchical keyring, cached branch key';
let counter = 0;
const nextContext = () => ({ record: `r-${(counter += 1)}`, version: '1' });

export const seal: Case = {
  name: 'envelope/seal',
  unit: 'messages of 1 KiB per CPU second',
  against,
  goal: { atLeast: 3 },
  prepare: () =>
    both(({ id, envelope, stock }) => {
      const plaintext = randomBytes(ONE_KIB);
      return {
        ours: () => perCpuSecond(() => envelope.seal(plaintext, { branchKeyId: id, context: nextContext() })),
        peer: () => perCpuSecond(() => stock.seal(plaintext, nextContext())),
      };
    }),
};

export const open: Case = {
  name: 'envelope/open',
  unit: 'messages of 1 KiB per CPU second',
  against,
  goal: { atLeast: 3 },
  prepare: () =>
    both(({ id, envelope, stock }) => {
      // More than message keys are kept: each is opened as if it were new.
      const places = Array.from({ length: 6_000 }, () => ({ branchKeyId: id, context: nextContext() }));
      const sealed = Promise.all(
        places.map(async (at) => ({ at, message: await envelope.seal(randomBytes(ONE_KIB), at) })),
      );
      const inTurn = async <T>(open: (one: { at: (typeof places)[number]; message: Buffer }) => T) => {
        const messages = await sealed;
        let next = 0;
        return perCpuSecond(() => open(messages[(next = (next + 1) % messages.length)]!));
      };
      return {
        ours: () => inTurn(({ message, at }) => envelope.open(message, at)),
        peer: () => inTurn(({ message }) => stock.open(message)),
      };
    }),
};
