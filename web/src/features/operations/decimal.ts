/**
 * Exact decimals for money and prices: text to integer nano-units (1e-9) and back, by BigInt. Nothing here ever becomes
 * a floating-point number, so that what an operator types is what is booked.
 */

/** Digits after the point that a nano-unit can carry. */
const PLACES = 9;
const NANO = 10n ** BigInt(PLACES);
/** The server counts in signed 64-bit integers. */
const MAX_NANOS = 2n ** 63n - 1n;

export type DecimalProblem = "missing" | "not_a_number" | "too_many_places" | "too_large";

export type Parsed = { readonly ok: true; readonly nanos: bigint } | { readonly ok: false; readonly problem: DecimalProblem };

function refused(problem: DecimalProblem): Parsed {
  return { ok: false, problem };
}

/**
 * Reads a plain decimal: `12`, `0.000000001`, `.5`, with a sign in front where there may be one. Full-width digits and
 * stops of Chinese input methods are taken. A comma is refused: it means thousands to some and a point to others.
 */
export function parseDecimal(text: string): Parsed {
  const plain = text.normalize("NFKC").replaceAll("。", ".").replace("−", "-").trim();
  if (plain === "") return refused("missing");
  const match = /^([+-]?)(\d*)(?:\.(\d*))?$/.exec(plain);
  const [, sign = "", whole = "", fraction = ""] = match ?? [];
  if (match === null || whole + fraction === "") return refused("not_a_number");
  const places = fraction.replace(/0+$/, "");
  if (places.length > PLACES) return refused("too_many_places");
  const size = BigInt(whole === "" ? "0" : whole) * NANO + BigInt(places.padEnd(PLACES, "0"));
  if (size > MAX_NANOS) return refused("too_large");
  return { ok: true, nanos: sign === "-" ? -size : size };
}

/** The shortest decimal of an amount, with at least `minPlaces` digits after the point: 2500000000 is `2.50`. */
export function formatDecimal(nanos: bigint, minPlaces = 2): string {
  const size = nanos < 0n ? -nanos : nanos;
  const fraction = (size % NANO).toString().padStart(PLACES, "0").replace(/0+$/, "");
  const shown = fraction.padEnd(minPlaces, "0");
  return `${nanos < 0n ? "-" : ""}${size / NANO}${shown === "" ? "" : `.${shown}`}`;
}

/** What of `price` is left after `cost`, in tenths of a percent of the price; null where nothing is asked for. */
export function marginPermille(price: string, cost: string): number | null {
  const asked = parseDecimal(price);
  const paid = parseDecimal(cost);
  if (!asked.ok || !paid.ok || asked.nanos <= 0n) return null;
  return Number(((asked.nanos - paid.nanos) * 1000n) / asked.nanos);
}
