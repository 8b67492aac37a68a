/** What a browser is shown where no page to return to was named. Fixed texts: nothing that arrived stands in them. */
const outcomes = {
  completed: ['Access granted', 'You may close this page. You can withdraw the access at any time.'],
  denied: ['Access not granted', 'You declined. Nothing was stored.'],
  failed: ['Access not granted', 'The login did not lead to a grant. Nothing was stored.'],
  other_person: [
    'Access not granted',
    'You are logged in as somebody else than the person who started this. Nothing was stored.',
  ],
  gone: ['This link is no longer good', 'It was used, has expired, or belongs to another browser. Start again.'],
} as const;

export type ConsentOutcome = keyof typeof outcomes;

/** A whole page in plain HTML, without script, style or anything loaded. */
export function consentPage(outcome: ConsentOutcome): string {
  const [title, text] = outcomes[outcome];
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title></head>
<body><main><h1>${title}</h1><p>${text}</p></main></body>
</html>
`;
}
