/** Why a field is not taken before the server is asked. */
import type { DecimalProblem } from "@/features/operations/decimal";

export type DraftProblem =
  | DecimalProblem
  | "negative" | "not_a_url" | "taken_twice" | "not_whole" | "not_within" | "not_json" | "not_a_name" | "same_name" | "not_a_proxy" | "too_many" | "not_a_date";

/** By place: `name`, `base_url`, `models`, `models.2.prices.input`, `limits.parallel`, `headers.0.value`, … */
export type Problems<P = DraftProblem> = Readonly<Record<string, P>>;

/** Whether a complaint stands at `place` or somewhere under it. */
export function troubled(errors: Problems<unknown>, ...places: readonly string[]): boolean {
  return Object.keys(errors).some((at) => places.some((place) => at === place || at.startsWith(`${place}.`)));
}
