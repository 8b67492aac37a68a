import { type Case } from '../assess.ts';
import { openKeyProxyWorld } from './key-proxy-world.ts';

/** One address of loopback makes as many a minute as its rate allows. */
const REQUESTS_AN_ADDRESS = 8;
/** Below this (two in 16,000 runs) a rank sum is chance. */
const MOST_Z = 4;

type Kind = 'known' | 'unknown';
type Times = Record<Kind, number[]>;

/**
 * Wrong passwords, sign-ups and accepted invitations for addresses that have an account and for others, in turns: what time and
 * answer tell about which is which.
 */
export const enumeration: Case = {
  name: 'key-proxy/enumeration',
  guarantee:
    'neither answer nor time of a refused login, a sign-up or an accepted invitation tells whether there is such an account',
  async run({ scale, say }) {
    const rounds = scale === 'small' ? 6 : scale === 'default' ? 12 : 100;
    // In low, where a login on the public listener is bound to nothing.
    const service = await openKeyProxyWorld({ POSTERN_PROFILE: 'fedramp-low' });
    try {
      const none = (): Times => ({ known: [], unknown: [] });
      const [logins, signUps, invitations] = [none(), none(), none()];
      const failed: string[] = [];
      const timed = async (
        times: Times,
        kind: Kind,
        answer: Promise<{ status: number; ms: number }>,
        wanted: number,
      ) => {
        const { status, ms } = await answer;
        if (status !== wanted) failed.push(`for an address that is ${kind}: ${status}`);
        times[kind].push(ms);
      };
      for (let round = 0; round < rounds; round += 1) {
        const [network, host] = [1 + Math.floor(round / 200), 2 + (round % 200)];
        const [caller, joining, accepting] = [0, 1, 2].map((block) => service.from(`127.${block}.${network}.${host}`));
        if (!caller || !joining || !accepting) throw new TypeError('there are three');
        const email = `known-${round}@foods.example`;
        const first = await caller('/signup', signUp(email));
        if (first.status !== 201) failed.push(`a sign-up was answered ${first.status}`);
        const { password } = signUp(email);
        const { access_token } = JSON.parse((await caller('/login', { email, password })).text) as Record<
          string,
          string
        >;
        for (let at = 0; at < REQUESTS_AN_ADDRESS; at += 1) {
          const kind = (at + round) % 2 ? 'known' : 'unknown';
          const tried = kind === 'known' ? email : `nobody-${round}@foods.example`;
          await timed(logins, kind, caller('/login', { email: tried, password: 'a wrong password' }), 401);
          const wanted = kind === 'known' ? email : `new-${round}-${at}@foods.example`;
          await timed(signUps, kind, joining('/signup', signUp(wanted)), 201);
          const invited = kind === 'known' ? email : `invited-${round}-${at}@foods.example`;
          const { text } = await accepting('/v1/invitations', { email: invited }, access_token);
          const { token } = JSON.parse(text) as Record<string, string>;
          const { contact_name, phone_number } = signUp(invited);
          const acceptance = { token, contact_name, phone_number, password };
          await timed(invitations, kind, accepting('/v1/accept-invitation', acceptance), 201);
        }
      }
      for (const [what, times] of Object.entries({ logins, 'sign-ups': signUps, invitations })) {
        const z = rankSumZ(times.known, times.unknown);
        const [known, unknown] = [median(times.known), median(times.unknown)];
        say(
          `${times.known.length} + ${times.unknown.length} ${what}: ${known.toFixed(1)} ms known, ${unknown.toFixed(1)} ms unknown, z ${z.toFixed(2)}`,
        );
        if (Math.abs(z) > MOST_Z) failed.push(`the times of ${what} differ: z ${z.toFixed(2)}`);
      }
      return { tried: 3 * rounds * REQUESTS_AN_ADDRESS, failed, lost: [] };
    } finally {
      await service.close();
    }
  },
};

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;

/** The Mann-Whitney statistic in standard deviations: far from 0 where one side tends to be slower. */
export function rankSumZ(a: readonly number[], b: readonly number[]): number {
  let slower = 0;
  for (const one of a) for (const other of b) slower += one > other ? 1 : one === other ? 0.5 : 0;
  const pairs = a.length * b.length;
  return (slower - pairs / 2) / Math.sqrt((pairs * (a.length + b.length + 1)) / 12);
}

const signUp = (email: string) => ({
  company_name: 'Example Foods',
  contact_name: 'Alice Example',
  phone_number: '+45 12 34 56 78',
  email,
  password: 'a long enough password',
  kms_selection: 'crypto-store',
  kms_credentials: {},
});
