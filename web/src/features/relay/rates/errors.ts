import type { RatesErrors } from "./RatesFields";

/** The complaints under `prefix` (`models.0.prices`), by what is left of their places. */
export function errorsUnder(errors: Readonly<Record<string, string>>, prefix: string): RatesErrors {
  const under = Object.entries(errors).filter(([at]) => at.startsWith(`${prefix}.`));
  return Object.fromEntries(under.map(([at, text]) => [at.slice(prefix.length + 1), text]));
}
