import { inspect } from 'node:util';

const HIDDEN = '[secret]';

/**
 * A value that prints as `[secret]` wherever it is turned into text: template strings, JSON, `util.inspect`, loggers.
 * Only {@link Secret.reveal} gives it out, so every place that needs the value can be found by that name.
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The value itself. Hand it straight to what needs it; never keep it in a field of its own. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return HIDDEN;
  }

  toJSON(): string {
    return HIDDEN;
  }

  get [Symbol.toStringTag](): string {
    return 'Secret';
  }

  [inspect.custom](): string {
    return HIDDEN;
  }
}
