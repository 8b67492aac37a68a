import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  createLeaf,
  createRoot,
  rootForBrowsers,
  thumbprintOf,
  type KeyAndCertificate,
  type LeafNames,
} from './certificates.ts';

/** An issued certificate: PEM text, and the same in files that only this user may read. */
export type Leaf = {
  cert: string;
  key: string;
  /** The anchor, PEM. */
  ca: string;
  /** base64url SHA-256 of the DER. */
  thumbprint: string;
  paths: { cert: string; key: string; ca: string };
};

export type IssueOptions = LeafNames & {
  /** Where `tls.crt`, `tls.key` and `ca.crt` are written, each replaced whole. Default: a new folder. */
  into?: string;
  /** What is written as `ca.crt`, PEM. Default: this authority's root; while authorities change, both roots. */
  anchors?: string;
};

/** A certificate authority on disk. */
export type Authority = {
  /** The root certificate, PEM. */
  certificate(): Promise<string>;
  /** The same root as a browser can judge it, PEM. */
  certificateForBrowsers(): Promise<string>;
  /** Issues a certificate to a workload, for 24 hours. Issuing into a folder again is a rotation. */
  issue(workload: string, options?: IssueOptions): Promise<Leaf>;
};

/**
 * Opens the authority kept in `directory`, creating it at first use. Several processes may do so at once: all get the
 * same root.
 */
export function openAuthority({ directory, name }: { directory: string; name: string }): Authority {
  let root: Promise<KeyAndCertificate> | undefined;
  const opened = () => (root ??= readOrCreate(join(directory, 'root'), name));
  return {
    certificate: async () => (await opened()).certificate,
    certificateForBrowsers: async () => rootForBrowsers(await opened()),
    async issue(workload, { into, anchors, ...names } = {}) {
      const anchor = await opened();
      const folder = into ?? join(directory, 'leaves', `${workload}-${randomBytes(6).toString('hex')}`);
      return writeLeaf(folder, await createLeaf(anchor, workload, names), anchors ?? anchor.certificate);
    },
  };
}

/** A certificate that vouches for itself, for tests of what is refused. */
export async function issueSelfSigned(
  workload: string,
  { into, ...names }: IssueOptions & { into: string },
): Promise<Leaf> {
  const leaf = await createLeaf(null, workload, names);
  return writeLeaf(into, leaf, leaf.certificate);
}

async function readOrCreate(folder: string, name: string): Promise<KeyAndCertificate> {
  return (await read(folder)) ?? (await create(folder, name));
}

async function read(folder: string): Promise<KeyAndCertificate | null> {
  try {
    const [certificate, key] = await Promise.all([
      readFile(join(folder, 'ca.crt'), 'utf8'),
      readFile(join(folder, 'ca.key'), 'utf8'),
    ]);
    return { certificate, key };
  } catch {
    return null;
  }
}

/** The folder appears whole or not at all, and the first to put it there wins. */
async function create(folder: string, name: string): Promise<KeyAndCertificate> {
  await mkdir(dirname(folder), { recursive: true, mode: 0o700 });
  const draft = await mkdtemp(`${folder}-`);
  const root = await createRoot(name);
  await writeFile(join(draft, 'ca.crt'), root.certificate, { mode: 0o600 });
  await writeFile(join(draft, 'ca.key'), root.key, { mode: 0o600 });
  try {
    await rename(draft, folder);
    return root;
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    const other = await read(folder);
    if (other === null) throw error;
    return other;
  }
}

async function writeLeaf(folder: string, leaf: KeyAndCertificate, anchor: string): Promise<Leaf> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o700);
  const paths = { cert: join(folder, 'tls.crt'), key: join(folder, 'tls.key'), ca: join(folder, 'ca.crt') };
  await replace(paths.ca, anchor);
  await replace(paths.key, leaf.key);
  await replace(paths.cert, leaf.certificate);
  return { cert: leaf.certificate, key: leaf.key, ca: anchor, thumbprint: thumbprintOf(leaf.certificate), paths };
}

async function replace(path: string, text: string): Promise<void> {
  const draft = `${path}.${randomBytes(4).toString('hex')}`;
  await writeFile(draft, text, { mode: 0o600 });
  await rename(draft, path);
}
