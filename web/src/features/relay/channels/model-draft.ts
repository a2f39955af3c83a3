/** A model of a channel as it is typed. */
import type { ChannelModel, ModelCapability, ModelModality, ModelStrategy, NewModel } from "@/features/operations/types";
import type { DraftProblem } from "../problems";
import { NO_RATES, ratesDraft, ratesProblems, type RatesDraft } from "../rates/rates";
import { wholeOf, wholeProblem } from "../wholes";

export const STRATEGIES = ["weighted", "least_busy", "lowest_latency", "lowest_cost", "affinity"] as const satisfies readonly ModelStrategy[];
export const MODALITIES = ["text", "image", "audio", "video", "file", "embedding"] as const satisfies readonly ModelModality[];
export const CAPABILITIES = [
  "chat", "completion", "embeddings", "rerank", "images", "speech", "transcription", "moderation", "tools", "parallel_tools",
  "structured_output", "reasoning", "prompt_cache", "logprobs", "web_search",
] as const satisfies readonly ModelCapability[];
/** Why another model answers. */
export const REASONS = ["context_window", "content_policy", "general"] as const;
export type Reason = (typeof REASONS)[number];

/** The server's limit for each reason. */
const MAX_FALLBACKS = 10;

export interface ModelDraft {
  /** Tells rows apart while they are edited; never sent. */
  readonly row: number;
  readonly name: string;
  readonly upstream: string;
  readonly context_tokens: string;
  readonly max_output_tokens: string;
  /** Empty: as the installation's. */
  readonly strategy: ModelStrategy | "";
  /** Names of other models, separated by spaces, commas or lines. */
  readonly fallbacks: Readonly<Record<Reason, string>>;
  readonly input_modalities: readonly ModelModality[];
  readonly output_modalities: readonly ModelModality[];
  readonly capabilities: readonly ModelCapability[];
  readonly prices: RatesDraft;
  readonly costs: RatesDraft;
}

let rows = 0;

export function emptyModel(): ModelDraft {
  rows += 1;
  return {
    row: rows, name: "", upstream: "", context_tokens: "", max_output_tokens: "",
    strategy: "", fallbacks: { context_window: "", content_policy: "", general: "" },
    input_modalities: [], output_modalities: [], capabilities: [], prices: NO_RATES, costs: NO_RATES,
  };
}

export function modelDraft(model: ChannelModel): ModelDraft {
  const names = (reason: Reason): string => (model.fallbacks?.[reason] ?? []).join(", ");
  return {
    ...emptyModel(),
    name: model.name,
    upstream: model.upstream === model.name ? "" : model.upstream,
    context_tokens: model.context_tokens?.toString() ?? "",
    max_output_tokens: model.max_output_tokens?.toString() ?? "",
    strategy: model.strategy ?? "",
    fallbacks: { context_window: names("context_window"), content_policy: names("content_policy"), general: names("general") },
    input_modalities: model.input_modalities ?? [],
    output_modalities: model.output_modalities ?? [],
    capabilities: model.capabilities ?? [],
    prices: ratesDraft(model.prices),
    costs: ratesDraft(model.costs),
  };
}

export function namesOf(text: string): string[] {
  return [...new Set(text.split(/[\s,，、]+/).filter((name) => name !== ""))];
}

function fallbackProblem(names: readonly string[], own: string): DraftProblem | null {
  if (names.includes(own)) return "same_name";
  return names.length > MAX_FALLBACKS ? "too_many" : null;
}

/** `names` are those of all models of the form, in its order. */
export function modelProblems(model: ModelDraft, index: number, names: readonly string[]): Record<string, DraftProblem> {
  const at = `models.${index}`;
  const found: Record<string, DraftProblem> = {};
  const note = (place: string, problem: DraftProblem | null): void => {
    if (problem !== null) found[`${at}.${place}`] = problem;
  };
  const name = model.name.trim();
  if (name === "") note("name", "missing");
  else if (/\s/.test(name)) note("name", "not_a_name");
  else if (names.indexOf(name) < index) note("name", "taken_twice");
  for (const field of ["context_tokens", "max_output_tokens"] as const) note(field, wholeProblem(model[field], 1));
  for (const reason of REASONS) note(`fallbacks.${reason}`, fallbackProblem(namesOf(model.fallbacks[reason]), name));
  for (const kind of ["prices", "costs"] as const) {
    for (const [place, problem] of Object.entries(ratesProblems(model[kind], kind === "prices"))) note(`${kind}.${place}`, problem);
  }
  return found;
}

/** As it is sent; what is not said is left out. */
export function modelWrite(model: ModelDraft): NewModel {
  const context = wholeOf(model.context_tokens);
  const output = wholeOf(model.max_output_tokens);
  const fallbacks = Object.fromEntries(
    REASONS.flatMap((reason) => {
      const names = namesOf(model.fallbacks[reason]);
      return names.length === 0 ? [] : [[reason, names]];
    }),
  );
  const sets = (["input_modalities", "output_modalities", "capabilities"] as const).filter((set) => model[set].length > 0);
  return {
    name: model.name.trim(),
    ...(model.upstream.trim() === "" ? {} : { upstream: model.upstream.trim() }),
    ...(context === undefined ? {} : { context_tokens: context }),
    ...(output === undefined ? {} : { max_output_tokens: output }),
    ...(model.strategy === "" ? {} : { strategy: model.strategy }),
    ...(Object.keys(fallbacks).length === 0 ? {} : { fallbacks }),
    ...Object.fromEntries(sets.map((set) => [set, [...model[set]].sort()])),
  };
}
