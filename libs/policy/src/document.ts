import { z } from 'zod';
import { checkReferences } from './document-references.ts';
import { documentShape } from './document-shape.ts';

/** The one policy document: who may ask for what, for whom, and for how long. Names that point nowhere are refused. */
export const policyDocument = documentShape.superRefine(checkReferences);

export type PolicyDocument = z.output<typeof policyDocument>;

/** The document's JSON Schema (2020-12), for editors: what a person may write, defaults not filled in. */
export const policyJsonSchema = (): object => z.toJSONSchema(documentShape, { io: 'input' });
