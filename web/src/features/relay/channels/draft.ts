/** A channel as it is typed: text in every field, and the checks before it is sent. */
import type { Channel, ChannelKey, Provider } from "@/features/operations/types";
import type { DraftProblem, Problems } from "../problems";
import { emptyModel, modelDraft, modelProblems, type ModelDraft } from "./model-draft";
import { NO_SETTINGS, settingsDraft, settingsProblems, type SettingsDraft } from "./settings-draft";

export interface ChannelDraft {
  readonly name: string;
  readonly provider: Provider;
  readonly base_url: string;
  /** Of the server's keys those that stay. */
  readonly kept: readonly ChannelKey[];
  /** New keys, one a line. */
  readonly keys: string;
  readonly enabled: boolean;
  readonly models: readonly ModelDraft[];
  readonly settings: SettingsDraft;
}

/** The providers in the order in which they are offered; those that one runs oneself stand apart. */
export const PROVIDERS = [
  "openai", "anthropic", "gemini", "azure_openai", "azure_openai_deployments", "bedrock", "mistral", "groq", "xai", "openrouter",
  "deepseek", "qwen", "moonshot", "zhipu", "volcengine", "qianfan", "hunyuan", "minimax",
] as const satisfies readonly Provider[];
export const OWN_SERVERS = ["openai_compatible", "ollama", "vllm", "llama_cpp", "lm_studio", "local"] as const satisfies readonly Provider[];

/** Each installation of these has an address of its own; the others have one where nobody says another. */
const NEED_ADDRESS: ReadonlySet<Provider> = new Set(["azure_openai", "azure_openai_deployments", "openai_compatible"]);

export function needsAddress(provider: Provider): boolean {
  return NEED_ADDRESS.has(provider);
}

export function emptyChannel(): ChannelDraft {
  return { name: "", provider: "openai", base_url: "", kept: [], keys: "", enabled: false, models: [emptyModel()], settings: NO_SETTINGS };
}

export function draftOf(channel: Channel): ChannelDraft {
  return {
    name: channel.name,
    provider: channel.provider,
    base_url: channel.base_url ?? "",
    kept: channel.keys,
    keys: "",
    enabled: channel.enabled,
    models: channel.models.map(modelDraft),
    settings: settingsDraft(channel),
  };
}

export function isWebAddress(text: string): boolean {
  try {
    return /^https?:$/.test(new URL(text).protocol);
  } catch {
    return false;
  }
}

function addressProblem({ provider, base_url }: ChannelDraft, before: Channel | null): DraftProblem | null {
  const typed = base_url.trim();
  if (provider === "local") return null;
  // What was said once can be said otherwise, but not unsaid.
  if (typed === "") return needsAddress(provider) || before?.base_url != null ? "missing" : null;
  return isWebAddress(typed) ? null : "not_a_url";
}

/** Everything that can be told without the server; empty when the draft may be sent. `before` is what is changed. */
export function problemsOf(draft: ChannelDraft, before: Channel | null = null): Problems {
  const found: Record<string, DraftProblem> = {};
  if (draft.name.trim() === "") found["name"] = "missing";
  const address = addressProblem(draft, before);
  if (address !== null) found["base_url"] = address;
  const names = draft.models.map((model) => model.name.trim());
  draft.models.forEach((model, index) => Object.assign(found, modelProblems(model, index, names)));
  if (draft.models.length === 0) found["models"] = "missing";
  return { ...found, ...settingsProblems(draft.settings) };
}

/** The keys that the server has, by their ends. Of a short key it tells nothing. */
export function keyHints({ key_hints: hints }: Channel): string {
  return hints.filter((hint) => hint !== "").map((hint) => `…${hint}`).join(", ");
}

export function keysOf(text: string): string[] {
  return [...new Set(text.split(/\s+/).filter((key) => key !== ""))];
}
