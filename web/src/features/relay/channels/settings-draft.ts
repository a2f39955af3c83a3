/** What is said about a channel besides what it offers, as it is typed: preference, access, limits, changed requests. */
import type { Channel, ChannelSettings, NewHeader, ParameterOverride, ProbeBy } from "@/features/operations/types";
import type { DraftProblem } from "../problems";
import { wholeOf, wholeProblem } from "../wholes";

export const LIMITS = ["requests_per_minute", "tokens_per_minute", "parallel"] as const;
export type Limit = (typeof LIMITS)[number];
export const ACTIONS = ["set", "default", "remove", "rename"] as const satisfies readonly ParameterOverride["action"][];
export type Action = (typeof ACTIONS)[number];

/** How it is found out whether a channel works again. */
export const PROBES = ["list", "chat"] as const satisfies readonly ProbeBy[];
export type Probe = (typeof PROBES)[number];

export interface ParameterDraft {
  /** Tells rows apart while they are edited; never sent. */
  readonly row: number;
  readonly action: Action;
  readonly path: string;
  /** JSON, of `set` and `default`. */
  readonly value: string;
  /** Of `rename`. */
  readonly to: string;
}

export interface HeaderDraft {
  readonly row: number;
  readonly name: string;
  /** Empty for a secret that the server has and that stays. */
  readonly value: string;
  readonly secret: boolean;
  /** The name under which the server has a secret value; null where it has none. */
  readonly stored: string | null;
}

export interface SettingsDraft {
  readonly priority: string;
  readonly weight: string;
  readonly groups: readonly string[];
  readonly limits: Readonly<Record<Limit, string>>;
  /** Null: as the installation's. */
  readonly drain: { readonly seconds: string; readonly tokens: string } | null;
  /** What clients are told of who answered; empty: the channel's id. */
  readonly public_name: string;
  readonly probe: Probe;
  readonly parameters: readonly ParameterDraft[];
  readonly headers: readonly HeaderDraft[];
  /** As the server shows it (without its credentials) until it is typed anew. */
  readonly proxy: string;
  /** Separated by commas. */
  readonly tags: string;
  readonly note: string;
}

const MAX_PRIORITY = 1000;
const MAX_WEIGHT = 10_000;
export const MAX_PUBLIC_NAME_CHARS = 80;
export const MAX_DRAIN_SECONDS = 3600;
const MAX_OVERRIDES = 50;
const MAX_TAGS = 20;
export const MAX_NOTE_CHARS = 2000;
/** What a channel begins with. */
export const FIRST_PRIORITY = "0";
export const FIRST_WEIGHT = "1";
/** The greatest number that the server counts tokens a minute with. */
const MANY = 2_000_000_000;

export const NO_SETTINGS: SettingsDraft = {
  priority: FIRST_PRIORITY, weight: FIRST_WEIGHT, groups: [],
  limits: { requests_per_minute: "", tokens_per_minute: "", parallel: "" },
  drain: null, public_name: "", probe: "list", parameters: [], headers: [], proxy: "", tags: "", note: "",
};

let rows = 0;

export function emptyParameter(): ParameterDraft {
  rows += 1;
  return { row: rows, action: "set", path: "", value: "", to: "" };
}

export function emptyHeader(): HeaderDraft {
  rows += 1;
  return { row: rows, name: "", value: "", secret: true, stored: null };
}

function parameterDraft(override: ParameterOverride): ParameterDraft {
  const row = { ...emptyParameter(), action: override.action };
  if (override.action === "rename") return { ...row, path: override.from, to: override.to };
  return { ...row, path: override.path, value: override.action === "remove" ? "" : JSON.stringify(override.value) };
}

export function settingsDraft(channel: Channel): SettingsDraft {
  const { limits, drain } = channel;
  const limit = (name: Limit): string => limits[name]?.toString() ?? "";
  return {
    priority: channel.priority.toString(),
    weight: channel.weight.toString(),
    groups: channel.groups,
    limits: { requests_per_minute: limit("requests_per_minute"), tokens_per_minute: limit("tokens_per_minute"), parallel: limit("parallel") },
    drain: drain == null ? null : { seconds: drain.seconds.toString(), tokens: drain.tokens.toString() },
    public_name: channel.public_name ?? "",
    probe: channel.probe,
    parameters: channel.parameters.map(parameterDraft),
    headers: channel.headers.map(({ name, value, secret }) => ({ ...emptyHeader(), name, value: value ?? "", secret, stored: secret ? name : null })),
    proxy: channel.proxy ?? "",
    tags: channel.tags.join(", "),
    note: channel.note,
  };
}

export function tagsOf(text: string): string[] {
  return [...new Set(text.split(/[,，、\n]/).map((tag) => tag.trim()).filter((tag) => tag !== ""))].sort();
}

function jsonProblem(text: string): DraftProblem | null {
  if (text.trim() === "") return "missing";
  try {
    JSON.parse(text);
    return null;
  } catch {
    return "not_json";
  }
}

function parameterProblems({ action, path, value, to }: ParameterDraft): Record<string, DraftProblem | null> {
  return {
    path: path.trim() === "" ? "missing" : null,
    value: action === "set" || action === "default" ? jsonProblem(value) : null,
    to: action === "rename" && to.trim() === "" ? "missing" : null,
  };
}

/** RFC 9110, section 5.1. */
const HEADER_NAME = /^[\w!#$%&'*+.^`|~-]+$/;

function headerProblems(header: HeaderDraft, names: readonly string[], index: number): Record<string, DraftProblem | null> {
  const name = header.name.trim().toLowerCase();
  const wrong = HEADER_NAME.test(name) ? null : "not_a_name";
  const again = names.indexOf(name) < index ? "taken_twice" : null;
  return { name: name === "" ? "missing" : (wrong ?? again), value: header.value.trim() === "" && !isKept(header) ? "missing" : null };
}

/** Whether the server's secret stays. */
export function isKept({ name, value, stored }: HeaderDraft): boolean {
  return value === "" && stored !== null && stored.toLowerCase() === name.trim().toLowerCase();
}

/** Everything that can be told without the server, by place. */
export function settingsProblems(draft: SettingsDraft): Record<string, DraftProblem> {
  const found: Record<string, DraftProblem> = {};
  const note = (place: string, problem: DraftProblem | null | undefined): void => {
    if (problem != null) found[place] = problem;
  };
  note("priority", wholeProblem(draft.priority, -MAX_PRIORITY, MAX_PRIORITY));
  note("weight", wholeProblem(draft.weight, 0, MAX_WEIGHT));
  for (const limit of LIMITS) note(`limits.${limit}`, wholeProblem(draft.limits[limit], 1, MANY));
  if (draft.drain !== null) {
    const { seconds, tokens } = draft.drain;
    note("drain.seconds", seconds.trim() === "" ? "missing" : wholeProblem(seconds, 0, MAX_DRAIN_SECONDS));
    note("drain.tokens", tokens.trim() === "" ? "missing" : wholeProblem(tokens, 0, MANY));
  }
  draft.parameters.forEach((parameter, index) => {
    for (const [field, problem] of Object.entries(parameterProblems(parameter))) note(`parameters.${index}.${field}`, problem);
  });
  const names = draft.headers.map((header) => header.name.trim().toLowerCase());
  draft.headers.forEach((header, index) => {
    for (const [field, problem] of Object.entries(headerProblems(header, names, index))) note(`headers.${index}.${field}`, problem);
  });
  note("parameters", draft.parameters.length > MAX_OVERRIDES ? "too_many" : null);
  note("headers", draft.headers.length > MAX_OVERRIDES ? "too_many" : null);
  note("proxy", draft.proxy.trim() !== "" && !/^(?:https?|socks5h?):\/\/\S+$/.test(draft.proxy.trim()) ? "not_a_proxy" : null);
  note("tags", tagsOf(draft.tags).length > MAX_TAGS ? "too_many" : null);
  return found;
}

function parameterWrite({ action, path, value, to }: ParameterDraft): ParameterOverride {
  const at = path.trim();
  if (action === "rename") return { action, from: at, to: to.trim() };
  if (action === "remove") return { action, path: at };
  return { action, path: at, value: JSON.parse(value) as unknown };
}

function headerWrite(header: HeaderDraft): NewHeader {
  const name = header.name.trim();
  return isKept(header) ? { name, secret: true } : { name, value: header.value.trim(), secret: header.secret };
}

/** All of it as it is sent. The proxy is not among it: of it only changes can be told. */
export function settingsWrite(draft: SettingsDraft): Required<Omit<ChannelSettings, "proxy">> {
  const limits = Object.fromEntries(
    LIMITS.flatMap((limit) => {
      const value = wholeOf(draft.limits[limit]);
      return value === undefined ? [] : [[limit, value]];
    }),
  );
  const { drain } = draft;
  return {
    priority: wholeOf(draft.priority) ?? Number(FIRST_PRIORITY),
    weight: wholeOf(draft.weight) ?? Number(FIRST_WEIGHT),
    groups: [...draft.groups].sort(),
    limits,
    drain: drain === null ? null : { seconds: wholeOf(drain.seconds) ?? 0, tokens: wholeOf(drain.tokens) ?? 0 },
    public_name: draft.public_name.trim() === "" ? null : draft.public_name.trim(),
    probe: draft.probe,
    parameters: draft.parameters.map(parameterWrite),
    headers: draft.headers.map(headerWrite),
    tags: tagsOf(draft.tags),
    note: draft.note.trim(),
  };
}
