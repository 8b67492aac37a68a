/** Something an assessor must see though the document is used: a deviation, a waiver, a choice between standards. */
export type Finding = {
  /** Stable, for the evidence and for scripts: `public-client-under-fapi`. */
  id: string;
  key: string;
  line: number;
  severity: 'note' | 'warning' | 'high';
  control?: string;
  message: string;
  suggestion?: string;
  waiver?: { reason: string; approvedBy: string; expires: string };
};
