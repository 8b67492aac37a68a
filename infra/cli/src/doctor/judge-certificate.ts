import { connect, type PeerCertificate } from 'node:tls';
import { type TlsIdentity } from '@postern/client';
import { fine, problem, warning, type Finding } from './finding.ts';

const TIMEOUT_MS = 5_000;
const DAY_MS = 86_400_000;

/** The certificate that a listener shows: does it verify, whose is it, for how long? */
export async function judgeCertificate(
  service: string,
  url: string,
  identity: TlsIdentity,
  now: Date,
): Promise<Finding> {
  const about = `certificate of ${new URL(url).host}`;
  try {
    const shown = await certificateAt(url, identity);
    const left = Date.parse(shown.valid_to) - now.getTime();
    const life = Date.parse(shown.valid_to) - Date.parse(shown.valid_from);
    const uris = (shown.subjectaltname ?? '').match(/URI:[^,]+/g) ?? [];
    const until = new Date(shown.valid_to).toISOString().slice(0, 16);
    if (shown.subject.CN !== service || uris.length !== 1) {
      return problem(
        service,
        about,
        `is of ${shown.subject.CN}, with ${uris.length} URIs`,
        'CN must be the workload, with one SPIFFE id (R4)',
      );
    }
    // What renews it does so with a third of its life left; less than a fifth means that nothing did.
    if (left < life / 5) {
      const say = left < DAY_MS ? problem : warning;
      return say(
        service,
        about,
        `is good until ${until} UTC`,
        'nothing has renewed it: look at its issuer (cert-manager: kubectl describe certificate)',
      );
    }
    return fine(service, about, `${uris[0]}, good until ${until} UTC`);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
    return problem(
      service,
      about,
      `no TLS connection: ${code}`,
      'is it up, and does its chain lead to the CA of your identity?',
    );
  }
}

function certificateAt(url: string, { cert, key, ca }: TlsIdentity): Promise<PeerCertificate> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: hostname,
      port: Number(port || 443),
      cert,
      key,
      ca,
      minVersion: 'TLSv1.3',
      servername: isAddress(hostname) ? '' : hostname,
    });
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error('timed out')));
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      resolve(socket.getPeerCertificate());
      socket.end();
    });
  });
}

const isAddress = (host: string): boolean => /^[\d.]+$|:/.test(host);
