import {
  NoteRefused,
  openCheckpoint,
  ReceiptRefused,
  verifyReceipt as verifyInclusion,
  type Checkpoint,
} from '@postern/transparency';
import { PosternError } from './errors.ts';
import { verifiersOf, verifyReceipt, type EventReceipt, type LogKey } from './verify-receipt.ts';

export type VerifiedExport = {
  /** The log's name, and the entries of it that the export speaks for. */
  origin: string;
  begin: number;
  end: number;
  treeSize: number;
  events: number;
  /** The tenant's entries there that are not shown: those that did not match what was asked, and those that were erased. */
  unmatched: number;
  erased: number;
};

/** An export that does not hold. `index` is the first entry that does not, where it can be told. */
export class ExportRefused extends PosternError {
  readonly index: number | null;
  constructor(detail: string, index: number | null = null) {
    super('audit-sink', 'export_refused', { detail: index === null ? detail : `${detail} at entry ${index}` });
    this.index = index;
  }
}

type Line =
  | {
      log: {
        origin: string;
        checkpoint: string;
        keys?: readonly LogKey[];
        begin: number;
        end: number;
        pseudonym: string;
      };
    }
  | { receipt: { index: number; leaf: string; proof: string[] } }
  | (EventReceipt & { event: object })
  | { left: { begin: number; end: number; unmatched: number[]; erased: number[] } }
  | { end: { events: number } };

/**
 * Checks an export (`GET /v1/export`) line by line, offline: each event is in the log, each batch's receipt too, the receipts
 * follow one another without a gap, and every entry that they say is the tenant's is shown or accounted for.
 *
 * @param lines of the export, in order.
 * @param trusted `logKey`: the log's verifier line, kept from before. `pseudonym`: the tenant's own, where it is known.
 * @throws ExportRefused naming the first entry that does not hold
 */
export async function verifyExport(
  lines: AsyncIterable<string> | Iterable<string>,
  trusted: { logKey: string; pseudonym?: string },
): Promise<VerifiedExport> {
  let verifiers: ReturnType<typeof verifiersOf> = [];
  let log: Extract<Line, { log: unknown }>['log'] | undefined;
  let checkpoint: Checkpoint | undefined;
  let reached = 0;
  let events = 0;
  let unmatched = 0;
  let erased = 0;
  let ended = false;
  let covered: number | null = null;
  let owned: number[] = [];
  let shown = new Set<number>();

  const receiptOf = (line: { index: number; leaf: string; proof: string[] }) => ({
    ...line,
    checkpoint: log!.checkpoint,
    key: trusted.logKey,
    ...(log!.keys ? { keys: log!.keys } : {}),
  });
  const open = (line: Extract<Line, { log: unknown }>) => {
    log = line.log;
    verifiers = verifiersOf(trusted.logKey, log.keys);
    checkpoint = checkpointOf(log.checkpoint, verifiers);
    if (log.origin !== checkpoint.origin) throw new ExportRefused('it names another log than its checkpoint');
    if (trusted.pseudonym !== undefined && log.pseudonym !== trusted.pseudonym)
      throw new ExportRefused("another tenant's pseudonym");
    reached = log.begin;
  };
  const batch = (line: Extract<Line, { receipt: unknown }>) => {
    const { index } = line.receipt;
    const leaf = proven(receiptOf(line.receipt), verifiers);
    if (leaf.kind !== 'batch') throw new ExportRefused('not the receipt of a batch', index);
    const first = index - (leaf.last - leaf.first + 1);
    // One that was cut by the page before comes again.
    if (covered !== null && first > covered) throw new ExportRefused('a batch is missing', covered);
    if (covered === null && first > reached) throw new ExportRefused('a batch is missing', reached);
    covered = Math.max(covered ?? 0, index + 1);
    // The log of before had receipts without tenants: what they hold cannot be told.
    owned.push(...ownedIn(leaf.tenants?.[log!.pseudonym] ?? '', { first, index }));
  };
  const event = (line: EventReceipt) => {
    try {
      verifyReceipt(receiptOf(line) as EventReceipt, { logKey: trusted.logKey });
    } catch (error) {
      if (error instanceof PosternError) throw new ExportRefused(error.message, line.index);
      throw error;
    }
    shown.add(line.index);
    events += 1;
  };
  const left = ({ left: part }: Extract<Line, { left: unknown }>) => {
    for (const list of [part.unmatched, part.erased])
      if (!Array.isArray(list) || !list.every(Number.isSafeInteger)) throw new ExportRefused('no list of entries');
    if (part.begin !== reached) throw new ExportRefused('a part is missing', reached);
    if (part.end > part.begin && (covered ?? 0) < part.end) throw new ExportRefused('a batch is missing', covered);
    const accounted = new Set([...part.unmatched, ...part.erased, ...shown]);
    const missing = owned
      .filter((index) => index >= part.begin && index < part.end)
      .sort((a, b) => a - b)
      .find((index) => !accounted.has(index));
    if (missing !== undefined) throw new ExportRefused('an event of the tenant is missing', missing);
    unmatched += part.unmatched.length;
    erased += part.erased.length;
    reached = part.end;
    owned = [];
    shown = new Set();
  };
  const take = (line: Line) => {
    if ('log' in line) open(line);
    else if (!log) throw new ExportRefused('it does not begin with its log');
    else if ('receipt' in line) batch(line);
    else if ('event' in line) event(line);
    else if ('left' in line) left(line);
    else if (line.end.events !== events || reached !== log.end) throw new ExportRefused('a part is missing', reached);
    else ended = true;
  };

  for await (const text of lines) {
    if (text.trim() === '') continue;
    if (ended) throw new ExportRefused('something follows the end');
    const line = parsed(text);
    try {
      take(line);
    } catch (error) {
      if (error instanceof PosternError) throw error;
      // It comes from a file or from whoever sent it, in whatever form.
      throw new ExportRefused('a line does not have the form of an export');
    }
  }
  if (!log || !checkpoint || !ended) throw new ExportRefused('it was cut off', log ? reached : null);
  const { begin, end } = log;
  return { origin: checkpoint.origin, begin, end, treeSize: checkpoint.size, events, unmatched, erased };
}

function parsed(text: string): Line {
  try {
    return JSON.parse(text) as Line;
  } catch {
    throw new ExportRefused('a line is not JSON');
  }
}

function checkpointOf(note: string, verifiers: ReturnType<typeof verifiersOf>): Checkpoint {
  try {
    return openCheckpoint(note, verifiers[0]!.name, verifiers);
  } catch (error) {
    if (error instanceof NoteRefused) throw new ExportRefused(error.message);
    throw error;
  }
}

type BatchLeaf = { kind: string; first: number; last: number; tenants?: Record<string, string> };

function proven(
  receipt: { index: number; leaf: string; proof: string[]; checkpoint: string },
  verifiers: ReturnType<typeof verifiersOf>,
): BatchLeaf {
  try {
    const { leaf } = verifyInclusion(receipt, { origin: verifiers[0]!.name, verifiers });
    return JSON.parse(leaf.toString('utf8')) as BatchLeaf;
  } catch (error) {
    if (error instanceof ReceiptRefused) throw new ExportRefused(error.message, receipt.index);
    throw error;
  }
}

/** Places in a batch, as its receipt writes them (`0-3,7`), as indexes. `index`: the receipt's own, which follows its batch. */
function ownedIn(ranges: string, { first, index }: { first: number; index: number }): number[] {
  return ranges
    .split(',')
    .filter((range) => range !== '')
    .flatMap((range) => {
      const [low = NaN, high = low] = range.split('-').map(Number);
      if (!(low >= 0 && low <= high && first + high < index))
        throw new ExportRefused('a receipt names places that its batch does not have', index);
      return Array.from({ length: high - low + 1 }, (_, i) => first + low + i);
    });
}
