import { verifyReceipt, type Postern } from '@postern/client';
import { type Stack } from '@postern/dev';
import { openCheckpoint, parseVerifier, verifyConsistency, type Checkpoint } from '@postern/transparency';

export type Witness = ReturnType<typeof openWitness>;

/** The log as an auditor sees it who kept its key and its checkpoints from before. */
export function openWitness(logKey: string) {
  const verifier = parseVerifier(logKey.trim());
  const kept: Checkpoint[] = [];
  return {
    /** Fetches the newest checkpoint and keeps it. @throws NoteRefused when the key did not sign it */
    async look({ state }: Stack, portal: Postern): Promise<void> {
      const url = `${state.urls['audit-sink'].api}/v1/log/checkpoint`;
      const { status, body } = await portal.fetch(url, { method: 'GET' });
      if (status !== 200) throw new Error(`the log answered ${status} for its checkpoint`);
      kept.push(openCheckpoint(body, verifier.name, [verifier]));
    },
    /** Every checkpoint that the newest one does not extend. */
    async inconsistencies({ state }: Stack, portal: Postern, token: string): Promise<string[]> {
      const newest = kept.at(-1);
      const failed: string[] = [];
      for (const older of kept) {
        if (newest === undefined) break;
        const url = `${state.urls['audit-sink'].api}/v1/log/proofs/consistency?from=${older.size}&to=${newest.size}`;
        const { status, body } = await portal.fetch(url, { method: 'GET', token });
        const { proof = [] } = (status === 200 ? JSON.parse(body) : {}) as { proof?: string[] };
        const path = proof.map((hash) => Buffer.from(hash, 'base64'));
        const holds = status === 200 && verifyConsistency({ first: older, second: newest, proof: path });
        if (!holds) failed.push(`the log of ${newest.size} entries does not extend that of ${older.size}`);
      }
      return failed;
    },
    /** Every event whose receipt does not verify offline. */
    async unproven(portal: Postern, token: string, eventIds: readonly string[]): Promise<string[]> {
      const failed: string[] = [];
      for (const id of eventIds) {
        try {
          const { event } = verifyReceipt(await portal.audit.receipt(id, { token }), { logKey });
          if (event.id !== id) failed.push(`the receipt of ${id} is that of ${event.id}`);
        } catch (error) {
          failed.push(`the receipt of ${id}: ${String(error)}`);
        }
      }
      return failed;
    },
  };
}
