/** Prices and costs as they are typed: text in every field, the checks before they are sent, and the list that is sent. */
import { formatDecimal, parseDecimal } from "@/features/operations/decimal";
import type { Rates } from "@/features/operations/types";
import type { DraftProblem } from "../problems";
import { wholeProblem } from "../wholes";

/** Per million tokens; those that are asked of everybody first. */
export const TIERS = [
  "input", "output", "cached_input", "cache_write", "cache_write_hour", "reasoning", "image_input", "image_output", "audio_input", "audio_output",
] as const;
export type Tier = (typeof TIERS)[number];
/** For each call, picture, search, character or second. */
export const FEES = ["per_request", "per_image", "per_search", "per_character", "per_second"] as const;
export type Fee = (typeof FEES)[number];

/** What a tier costs where nothing is said of it. */
export const FALLBACK: Readonly<Partial<Record<Tier, Tier>>> = {
  cached_input: "input", cache_write: "input", cache_write_hour: "cache_write", image_input: "input", audio_input: "input",
  reasoning: "output", image_output: "output", audio_output: "output",
};

export type TiersDraft = Readonly<Record<Tier, string>>;

/** Other rates for calls with a long input. */
export interface LongDraft extends TiersDraft {
  /** Tells rows apart while they are edited; never sent. */
  readonly row: number;
  readonly above: string;
}

export type RatesDraft = TiersDraft & Readonly<Record<Fee, string>> & { readonly long: readonly LongDraft[] };

/** By place: `input`, `per_image`, `long.0.above`, `long.0.output`. */
export type RatesProblems = Readonly<Record<string, DraftProblem>>;

/** The server's limit: a million units. */
const MAX_RATE_NANOS = 1_000_000n * 1_000_000_000n;
/** Lists for long inputs that a model may have. */
export const MAX_LONG = 8;

const NO_TIERS: TiersDraft = {
  input: "", output: "", cached_input: "", cache_write: "", cache_write_hour: "", reasoning: "", image_input: "", image_output: "", audio_input: "", audio_output: "",
};
export const NO_RATES: RatesDraft = {
  ...NO_TIERS, per_request: "", per_image: "", per_search: "", per_character: "", per_second: "", long: [],
};

let rows = 0;

export function emptyLong(): LongDraft {
  rows += 1;
  return { ...NO_TIERS, row: rows, above: "" };
}

/** What an empty field costs, as it is typed elsewhere. */
export function fallbackOf(draft: TiersDraft, tier: Tier): string {
  const from = FALLBACK[tier];
  if (from === undefined) return "";
  return draft[from] === "" ? fallbackOf(draft, from) : draft[from];
}

/** Whether nothing else says what it costs. */
function isMain(tier: Tier): boolean {
  return !(tier in FALLBACK);
}

/** The decimal as the server writes it; null for an empty field. */
function rate(text: string): string | null {
  const parsed = parseDecimal(text);
  return parsed.ok ? formatDecimal(parsed.nanos) : null;
}

/** A rate of the server as it stands in a field; empty where there is none. */
function shown(text: string | null | undefined): string {
  return text == null ? "" : (rate(text) ?? text);
}

function pick<K extends string>(names: readonly K[], value: (name: K) => string): Record<K, string> {
  return Object.fromEntries(names.map((name) => [name, value(name)])) as Record<K, string>;
}

export function ratesDraft(rates: Rates): RatesDraft {
  const long = (rates.long ?? []).map(({ above_input_tokens, rates: tiers }) => ({
    ...emptyLong(),
    above: above_input_tokens.toString(),
    ...pick(TIERS, (tier) => shown(tiers[tier])),
  }));
  return { ...pick(TIERS, (tier) => shown(rates[tier])), ...pick(FEES, (fee) => shown(rates[fee])), long };
}

function tiersOf(draft: TiersDraft): Pick<Rates, Tier> {
  const finer = TIERS.flatMap((tier) => {
    const typed = tier in FALLBACK ? rate(draft[tier]) : null;
    return typed === null ? [] : [[tier, typed]];
  });
  return { input: rate(draft.input) ?? "0.00", output: rate(draft.output) ?? "0.00", ...Object.fromEntries(finer) };
}

/** The rates as they are sent. Costs that are left empty are zero; the finer tiers fall back when they are empty. */
export function ratesOf(draft: RatesDraft): Rates {
  const fees = FEES.flatMap((fee) => {
    const typed = rate(draft[fee]);
    return typed === null ? [] : [[fee, typed]];
  });
  const long = draft.long
    .map((list) => ({ above_input_tokens: Number(list.above.normalize("NFKC").trim()), rates: tiersOf(list) }))
    .sort((one, other) => one.above_input_tokens - other.above_input_tokens);
  return { ...tiersOf(draft), ...Object.fromEntries(fees), ...(long.length === 0 ? {} : { long }) };
}

function rateProblem(text: string, required: boolean): DraftProblem | null {
  const parsed = parseDecimal(text);
  if (!parsed.ok) return parsed.problem !== "missing" || required ? parsed.problem : null;
  if (parsed.nanos < 0n) return "negative";
  return parsed.nanos > MAX_RATE_NANOS ? "too_large" : null;
}

/**
 * What is wrong with some rates, by place. Prices need both main tiers: nothing is given away by an empty field. A list
 * for long inputs needs them, too.
 */
export function ratesProblems(draft: RatesDraft, required: boolean): RatesProblems {
  const found: Record<string, DraftProblem> = {};
  const note = (place: string, problem: DraftProblem | null): void => {
    if (problem !== null) found[place] = problem;
  };
  for (const tier of TIERS) note(tier, rateProblem(draft[tier], required && isMain(tier)));
  for (const fee of FEES) note(fee, rateProblem(draft[fee], false));
  draft.long.forEach((list, index) => {
    const earlier = draft.long.findIndex((other) => other.above.trim() === list.above.trim());
    note(`long.${index}.above`, list.above.trim() === "" ? "missing" : (wholeProblem(list.above, 1) ?? (earlier < index ? "taken_twice" : null)));
    for (const tier of TIERS) note(`long.${index}.${tier}`, rateProblem(list[tier], isMain(tier)));
  });
  return found;
}

/** One text for rates that cost the same, however they are written. */
function canonical(rates: Rates): string {
  const { long, ...rest } = ratesDraft(rates);
  return JSON.stringify([rest, long.map((list) => [list.above, ...TIERS.map((tier) => list[tier])])]);
}

export function sameRates(one: Rates, other: Rates): boolean {
  return canonical(one) === canonical(other);
}

/** How many fields beyond input and output say something. */
export function finerCount(draft: RatesDraft): number {
  const finer = [...TIERS.filter((tier) => tier in FALLBACK), ...FEES];
  return finer.filter((field) => draft[field].trim() !== "").length + draft.long.length;
}
