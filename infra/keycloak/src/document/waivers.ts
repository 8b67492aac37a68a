import { type Waivers } from './reading.ts';
import { type Document } from './schema.ts';

const MILLISECONDS_A_DAY = 86_400_000;
const LONGEST_DAYS = 366;

/** The written waivers of a document: each lets one key be weaker than its profile, until the end of its day (UTC). */
export function openWaivers(written: Document['waiver'], now: Date): Waivers {
  const used = new Set<number>();
  const endOf = (expires: string) => {
    const end = new Date(`${expires}T23:59:59.999Z`);
    // A day beyond the month's last is taken for one of the next month.
    return end.toJSON()?.startsWith(expires) ? end.getTime() : Number.NaN;
  };
  return {
    weaker(reading, path, { allowed, control }) {
      const key = path.join('.');
      const at = written.findIndex((one) => one.key === key);
      const waiver = written[at];
      if (!waiver) {
        const message = `is weaker than ${reading.profile.name}, and no waiver allows it`;
        return reading.refuse(path, message, { allowed, control });
      }
      used.add(at);
      if (!(endOf(waiver.expires) >= now.getTime())) return;
      reading.findings.push({
        id: 'weaker-than-profile',
        key,
        line: reading.lineOf(path),
        severity: 'high',
        control,
        message: `weaker than ${reading.profile.name} asks: ${allowed}`,
        waiver: { reason: waiver.reason, approvedBy: waiver.approved_by, expires: waiver.expires },
      });
    },
    report(reading) {
      written.forEach(({ expires }, at) => {
        const end = endOf(expires);
        const place = ['waiver', at, 'expires'] as const;
        if (Number.isNaN(end)) reading.refuse(place, 'is not a day of the calendar');
        else if (end < now.getTime()) reading.refuse(place, 'has expired', { allowed: 'a day that is not past' });
        else if (end - now.getTime() > LONGEST_DAYS * MILLISECONDS_A_DAY)
          reading.refuse(place, 'is too far away', { allowed: `at most ${LONGEST_DAYS} days from today` });
        else if (!used.has(at))
          reading.refuse(['waiver', at, 'key'], 'waives nothing: this key is not weaker than the profile');
      });
    },
  };
}
