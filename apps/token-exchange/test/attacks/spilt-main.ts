import { spillTokens } from './spilt-tokens.ts';

/** Prints what was sent and where it could have been kept, as one line of JSON. Loaded with tracing, it sends traces too. */
process.stdout.write(`${JSON.stringify(await spillTokens())}\n`);
