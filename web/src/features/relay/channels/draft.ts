/** A channel as it is typed: text in every field, the checks before it is sent, and the request that says what changed. */
import { formatDecimal, parseDecimal, type DecimalProblem } from "@/features/operations/decimal";
import type { Channel, ChannelModel, ChannelPatch, NewModel, NewChannel, Provider, Rates } from "@/features/operations/types";

export const TIERS = ["input", "output", "cached_input", "reasoning"] as const;
export type Tier = (typeof TIERS)[number];
export type RatesDraft = Readonly<Record<Tier, string>>;

export interface ModelDraft {
  /** Tells rows apart while they are edited; never sent. */
  readonly row: number;
  readonly name: string;
  readonly upstream: string;
  readonly context_tokens: string;
  readonly max_output_tokens: string;
  readonly prices: RatesDraft;
  readonly costs: RatesDraft;
}

export interface ChannelDraft {
  readonly name: string;
  readonly provider: Provider;
  readonly base_url: string;
  /** One a line. Empty means: keep those that the server has. */
  readonly keys: string;
  readonly enabled: boolean;
  readonly models: readonly ModelDraft[];
}

/** Why a field is not taken before the server is asked. */
export type DraftProblem = DecimalProblem | "not_a_url" | "taken_twice" | "not_whole" | "negative";
/** By place: `name`, `base_url`, `models`, `models.2.prices.input`, … */
export type Problems<P = DraftProblem> = Readonly<Record<string, P>>;

/** The server's limit: a million a million tokens. */
const MAX_RATE_NANOS = 1_000_000n * 1_000_000_000n;

const NO_RATES: RatesDraft = { input: "", output: "", cached_input: "", reasoning: "" };
let rows = 0;

export function emptyModel(): ModelDraft {
  rows += 1;
  return { row: rows, name: "", upstream: "", context_tokens: "", max_output_tokens: "", prices: NO_RATES, costs: NO_RATES };
}

export function emptyChannel(): ChannelDraft {
  return { name: "", provider: "openai", base_url: "", keys: "", enabled: false, models: [emptyModel()] };
}

/** A rate of the server as it stands in a field; empty where there is none. */
function shown(text: string | null | undefined): string {
  return text == null ? "" : (rate(text) ?? text);
}

export function ratesDraft(rates: Rates): RatesDraft {
  return {
    input: shown(rates.input),
    output: shown(rates.output),
    cached_input: shown(rates.cached_input),
    reasoning: shown(rates.reasoning),
  };
}

function modelDraft(model: ChannelModel): ModelDraft {
  return {
    ...emptyModel(),
    name: model.name,
    upstream: model.upstream === model.name ? "" : model.upstream,
    context_tokens: model.context_tokens?.toString() ?? "",
    max_output_tokens: model.max_output_tokens?.toString() ?? "",
    prices: ratesDraft(model.prices),
    costs: ratesDraft(model.costs),
  };
}

export function draftOf(channel: Channel): ChannelDraft {
  return {
    name: channel.name,
    provider: channel.provider,
    base_url: channel.base_url ?? "",
    keys: "",
    enabled: channel.enabled,
    models: channel.models.map(modelDraft),
  };
}

function plain(text: string): string {
  return text.normalize("NFKC").replaceAll("。", ".").trim();
}

/** The decimal as the server writes it; null for an empty field. */
function rate(text: string): string | null {
  const parsed = parseDecimal(text);
  return parsed.ok ? formatDecimal(parsed.nanos) : null;
}

/** The rates as they are sent. Costs that are left empty are zero; the finer tiers fall back when they are empty. */
export function ratesOf(draft: RatesDraft): Rates {
  const cached = rate(draft.cached_input);
  const reasoning = rate(draft.reasoning);
  return {
    input: rate(draft.input) ?? "0.00",
    output: rate(draft.output) ?? "0.00",
    ...(cached === null ? {} : { cached_input: cached }),
    ...(reasoning === null ? {} : { reasoning }),
  };
}

/** What is wrong with some rates, by tier. Prices need both main tiers: nothing is given away by an empty field. */
export function ratesProblems(draft: RatesDraft, required: boolean): Partial<Record<Tier, DraftProblem>> {
  const problems: Partial<Record<Tier, DraftProblem>> = {};
  for (const tier of TIERS) {
    const parsed = parseDecimal(draft[tier]);
    if (parsed.ok && parsed.nanos < 0n) problems[tier] = "negative";
    if (parsed.ok && parsed.nanos > MAX_RATE_NANOS) problems[tier] = "too_large";
    if (parsed.ok) continue;
    const needed = required && (tier === "input" || tier === "output");
    if (parsed.problem !== "missing" || needed) problems[tier] = parsed.problem;
  }
  return problems;
}

function sameDecimal(one: string | null | undefined, other: string | null | undefined): boolean {
  const first = parseDecimal(one ?? "");
  const second = parseDecimal(other ?? "");
  return first.ok && second.ok ? first.nanos === second.nanos : first.ok === second.ok;
}

export function sameRates(one: Rates, other: Rates): boolean {
  return TIERS.every((tier) => sameDecimal(one[tier], other[tier]));
}

export function isWebAddress(text: string): boolean {
  try {
    return /^https?:$/.test(new URL(text).protocol);
  } catch {
    return false;
  }
}

function tokensProblem(text: string): DraftProblem | null {
  if (plain(text) === "") return null;
  return /^[1-9]\d{0,8}$/.test(plain(text)) ? null : "not_whole";
}

function modelProblems(model: ModelDraft, index: number, names: readonly string[]): Record<string, DraftProblem> {
  const at = `models.${index}`;
  const found: Record<string, DraftProblem> = {};
  const name = model.name.trim();
  if (name === "") found[`${at}.name`] = "missing";
  else if (names.indexOf(name) < index) found[`${at}.name`] = "taken_twice";
  for (const field of ["context_tokens", "max_output_tokens"] as const) {
    const problem = tokensProblem(model[field]);
    if (problem !== null) found[`${at}.${field}`] = problem;
  }
  for (const kind of ["prices", "costs"] as const) {
    const problems = ratesProblems(model[kind], kind === "prices");
    for (const [tier, problem] of Object.entries(problems)) found[`${at}.${kind}.${tier}`] = problem;
  }
  return found;
}

/** Everything that can be told without the server; empty when the draft may be sent. */
export function problemsOf(draft: ChannelDraft): Problems {
  const found: Record<string, DraftProblem> = {};
  if (draft.name.trim() === "") found["name"] = "missing";
  if (draft.provider === "openai") {
    if (draft.base_url.trim() === "") found["base_url"] = "missing";
    else if (!isWebAddress(draft.base_url.trim())) found["base_url"] = "not_a_url";
  }
  const names = draft.models.map((model) => model.name.trim());
  draft.models.forEach((model, index) => Object.assign(found, modelProblems(model, index, names)));
  if (draft.models.length === 0) found["models"] = "missing";
  return found;
}

/** The keys that the server has, by their ends. Of a short key it tells nothing. */
export function keyHints({ key_hints: hints }: Channel): string {
  return hints.map((hint) => `…${hint}`).join(", ");
}

export function keysOf(text: string): string[] {
  return [...new Set(text.split(/\s+/).filter((key) => key !== ""))];
}

function tokens(text: string): number | undefined {
  return plain(text) === "" ? undefined : Number(plain(text));
}

/** What the server knows about a model and this form does not show. */
function unshown(known: ChannelModel | undefined): Partial<NewModel> {
  if (known === undefined) return {};
  const { strategy, fallbacks, input_modalities, output_modalities, capabilities } = known;
  const traits = { strategy, fallbacks, input_modalities, output_modalities, capabilities };
  return Object.fromEntries(Object.entries(traits).filter(([, said]) => said != null));
}

function modelWrite(model: ModelDraft, known?: ChannelModel): NewModel {
  const context = tokens(model.context_tokens);
  const output = tokens(model.max_output_tokens);
  return {
    name: model.name.trim(),
    ...(model.upstream.trim() === "" ? {} : { upstream: model.upstream.trim() }),
    ...(context === undefined ? {} : { context_tokens: context }),
    ...(output === undefined ? {} : { max_output_tokens: output }),
    ...unshown(known),
  };
}

function byName(draft: ChannelDraft, kind: "prices" | "costs"): Record<string, Rates> {
  return Object.fromEntries(draft.models.map((model) => [model.name.trim(), ratesOf(model[kind])]));
}

/** The request that creates this channel. */
export function creation(draft: ChannelDraft): NewChannel {
  const keys = keysOf(draft.keys);
  const upstream = draft.provider === "local" ? {} : { base_url: draft.base_url.trim(), ...(keys.length > 0 ? { keys } : {}) };
  return {
    name: draft.name.trim(),
    provider: draft.provider,
    ...upstream,
    models: draft.models.map((model) => modelWrite(model)),
    prices: byName(draft, "prices"),
    costs: byName(draft, "costs"),
    enabled: draft.enabled,
  };
}

/** The parts of a price list that this form does not show. */
function finer(rates: Rates): Partial<Rates> {
  return Object.fromEntries(Object.entries(rates).filter(([tier]) => !TIERS.some((own) => own === tier)));
}

function changedRates(draft: ChannelDraft, before: Channel, kind: "prices" | "costs"): Record<string, Rates> {
  const old = new Map(before.models.map((model) => [model.name, model[kind]]));
  return Object.fromEntries(
    Object.entries(byName(draft, kind)).flatMap(([name, rates]) => {
      const known = old.get(name);
      if (known === undefined) return [[name, rates]];
      return sameRates(rates, known) ? [] : [[name, { ...finer(known), ...rates }]];
    }),
  );
}

/** Only what differs from `before`; null when nothing does. A price that did not change gets no new version. */
export function change(draft: ChannelDraft, before: Channel): ChannelPatch | null {
  const patch: ChannelPatch = {};
  const keys = keysOf(draft.keys);
  const known = new Map(before.models.map((model) => [model.name, model]));
  const write = (model: ModelDraft): NewModel => modelWrite(model, known.get(model.name.trim()));
  const models = draft.models.map(write);
  const prices = changedRates(draft, before, "prices");
  const costs = changedRates(draft, before, "costs");
  if (draft.name.trim() !== before.name) patch.name = draft.name.trim();
  if (draft.provider !== "local" && draft.base_url.trim() !== (before.base_url ?? "")) patch.base_url = draft.base_url.trim();
  if (keys.length > 0) patch.keys = keys;
  if (JSON.stringify(models) !== JSON.stringify(draftOf(before).models.map(write))) patch.models = models;
  if (Object.keys(prices).length > 0) patch.prices = prices;
  if (Object.keys(costs).length > 0) patch.costs = costs;
  if (draft.enabled !== before.enabled) patch.enabled = draft.enabled;
  return Object.keys(patch).length > 0 ? patch : null;
}
