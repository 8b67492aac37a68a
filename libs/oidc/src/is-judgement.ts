import { errors } from 'jose';
import { z } from 'zod';

/**
 * Whether what a check of a signed token threw is a judgement of the token, or tells that the keys to judge it by could not be
 * had: no answer, one other than 200, or one that is no key set.
 */
export const isJudgement = (error: unknown): boolean =>
  error instanceof z.ZodError || (error instanceof errors.JOSEError && !isAboutTheKeySet(error));

// jose has a code of its own for each judgement, and the general one for an answer that it could not use.
const isAboutTheKeySet = (error: errors.JOSEError): boolean =>
  error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid || error.code === errors.JOSEError.code;
