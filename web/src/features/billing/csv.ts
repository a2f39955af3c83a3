/** Charges of a period as a file that spreadsheets open: RFC 4180, with the exact decimal of every amount. */
import { ApiError } from "@/api/problem";
import type { Charge } from "@/api/types";
import { decimalOf } from "@/lib/money";
import { saveFile } from "@/lib/save-file";
import type { Period } from "./period";
import { chargesPage } from "./queries";

const PAGE = 100;
/** More than this many rows are not put together in a browser. */
const MAX_ROWS = 50_000;

const COLUMNS = [
  "time", "kind", "model", "input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens", "basis",
  "input_price_per_million", "output_price_per_million", "price_version", "charged", "currency", "conversation", "api_key", "charge",
] as const;

/** A cell that starts like a formula is text to a spreadsheet only behind an apostrophe. */
function cell(value: string | number): string {
  const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function row(charge: Charge, currency: string): string {
  const { tokens, prices } = charge;
  return [
    cell(charge.at), cell(charge.kind), cell(charge.model),
    tokens.input, tokens.cached_input, tokens.output, tokens.reasoning, cell(charge.basis),
    cell(prices.input), cell(prices.output), charge.price_version,
    // A number, never text: it may be negative only if the server erred, and must add up all the same.
    decimalOf(BigInt(charge.charged_nanos)), cell(currency),
    cell(charge.session_id ?? ""), cell(charge.api_key_id ?? ""), cell(charge.hold_id),
  ].join(",");
}

/** The mark in front tells Excel that this is UTF-8. */
export function chargesCsv(charges: readonly Charge[], currency: string): string {
  return `\uFEFF${[COLUMNS.join(","), ...charges.map((charge) => row(charge, currency))].join("\r\n")}\r\n`;
}

/**
 * Every charge of a period, newest first. Rejects with an `ApiError` as soon as a page fails or when there are too many:
 * a part of the charges would look like all of them.
 */
export async function chargesOf({ from, to }: Period): Promise<Charge[]> {
  const charges: Charge[] = [];
  let cursor: string | null = null;
  do {
    const page = await chargesPage(cursor, PAGE);
    charges.push(...page.items.filter((charge) => charge.at.slice(0, 10) >= from && charge.at.slice(0, 10) <= to));
    const oldest = page.items.at(-1)?.at.slice(0, 10);
    if (oldest === undefined || oldest < from) break;
    if (charges.length > MAX_ROWS) throw new ApiError(422, "too_many_charges", "", null);
    cursor = page.next_cursor ?? null;
  } while (cursor !== null);
  return charges;
}

export function download(name: string, text: string): void {
  saveFile(name, new Blob([text], { type: "text/csv;charset=utf-8" }));
}
