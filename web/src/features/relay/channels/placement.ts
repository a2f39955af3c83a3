/** Where a complaint of the server belongs on the form. */
import type { ApiError } from "@/api/problem";
import { FEES, TIERS } from "../rates/rates";

/** Codes that name their field even when the server sends no `errors[]`. */
const FIELD_OF_CODE: Readonly<Record<string, string>> = {
  invalid_name: "name",
  invalid_base_url: "base_url",
  address_not_allowed: "base_url",
  invalid_model: "models",
  price_missing: "prices",
  invalid_price: "prices",
  too_many_keys: "keys",
  unknown_key: "keys",
  no_models: "models",
  invalid_note: "tags",
};

export interface Complaint {
  readonly code: string;
  readonly detail: string;
}

const FIELDS = new Set([
  "name", "base_url", "keys", "provider", "models", "priority", "weight", "groups", "limits", "drain", "public_name", "probe", "parameters", "headers", "proxy", "tags", "note",
]);
const MODEL_FIELDS = ["upstream", "context_tokens", "max_output_tokens", "name"];
/** `cached_input` ends with another tier's name: the longest first. */
const RATE = new RegExp([...TIERS, ...FEES].sort((one, other) => other.length - one.length).join("|"));

/** The index of the model that `text` speaks of: the longest name wins (`gpt-4.1-mini` contains `gpt-4.1`). */
function modelIn(text: string, names: readonly string[]): number {
  let found = -1;
  names.forEach((name, index) => {
    const longer = found < 0 || name.length > (names[found]?.length ?? 0);
    if (name !== "" && text.includes(name) && longer) found = index;
  });
  return found;
}

/**
 * The place on the form of a field that the server names, such as `base_url`, `prices/gpt-4.1` or `models[1].name`;
 * null for a field that the form does not have. `names` are the models' names in the order of the form.
 */
export function placeOf(field: string, names: readonly string[]): string | null {
  const match = /^[/.]?(\w+)(.*)$/s.exec(field);
  const head = match?.[1] ?? "";
  const rest = match?.[2] ?? "";
  if (head === "prices" || head === "costs") {
    const index = modelIn(rest, names);
    if (index < 0) return "models";
    const name = names[index] ?? "";
    const rate = RATE.exec(rest.slice(rest.lastIndexOf(name) + name.length))?.[0];
    return `models.${index}.${head}.${rate ?? "input"}`;
  }
  if (head === "models") {
    const numbered = /^[.[/](\d+)/.exec(rest)?.[1];
    const index = numbered === undefined ? modelIn(rest, names) : Number(numbered);
    if (index < 0 || index >= names.length) return "models";
    return `models.${index}.${MODEL_FIELDS.find((name) => rest.endsWith(name)) ?? "name"}`;
  }
  return FIELDS.has(head) ? head : null;
}

export interface Placed {
  readonly fields: Readonly<Record<string, Complaint>>;
  /** What belongs to no field; null when all of it does. */
  readonly rest: Complaint | null;
}

/** A refusal about one model names it in its data. */
function placed(field: string, error: ApiError, names: readonly string[]): string | null {
  const { model } = error.data;
  const speaksOfModels = placeOf(field, names) === "models";
  return speaksOfModels && typeof model === "string" ? placeOf(`${field}/${model}`, names) : placeOf(field, names);
}

/** Sorts a refusal to the fields it is about. */
export function place(error: ApiError, names: readonly string[]): Placed {
  const fields: Record<string, Complaint> = {};
  let lost = error.fields.length === 0;
  for (const { field, code, message } of error.fields) {
    const at = placed(field, error, names);
    if (at === null) lost = true;
    else fields[at] ??= { code, detail: message };
  }
  const own = FIELD_OF_CODE[error.code];
  const complaint = { code: error.code, detail: error.detail };
  if (own !== undefined && Object.keys(fields).length === 0) {
    fields[placed(own, error, names) ?? own] = complaint;
    lost = false;
  }
  return { fields, rest: lost ? complaint : null };
}
