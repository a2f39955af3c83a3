/**
 * Amounts for people. The server's integers of nano-units (1e-9 of the ledger currency) become decimals by BigInt, never
 * by floating point: they pass 2^53, and what was charged is what is shown.
 */

/** Digits after the point that a nano-unit can carry. */
const PLACES = 9;
/** The usual digits after the point; small amounts get more. */
const USUAL = 2;
/** Of an amount below one unit, this many digits count after the zeros. */
const SIGNIFICANT = 2;
/** From this many units on, `brief` writes thousands and millions by letter. */
const COMPACT_FROM = 1_000_000n;

const NANO = 10n ** BigInt(PLACES);

/**
 * `brief`: two digits after the point, for amounts below one unit as many as the first two that count ($0.000012 does
 * not become $0.00). `floor`: as brief, but never more than there is. `exact`: every digit that is not a trailing zero.
 */
export type Precision = "brief" | "floor" | "exact";

/** The decimal of an amount, with all nine places: `-1500000000` is `-1.500000000`. */
export function decimalOf(nanos: bigint): `${number}` {
  const size = nanos < 0n ? -nanos : nanos;
  const fraction = (size % NANO).toString().padStart(PLACES, "0");
  return `${nanos < 0n ? "-" : ""}${size / NANO}.${fraction}` as `${number}`;
}

interface Digits {
  minimumFractionDigits: number;
  maximumFractionDigits: number;
  notation?: "compact";
  roundingMode?: "trunc";
}

function digitsOf(size: bigint, precision: Precision): Digits {
  if (precision === "exact") return { minimumFractionDigits: USUAL, maximumFractionDigits: PLACES };
  if (precision === "floor") return { ...digitsOf(size, "brief"), roundingMode: "trunc" };
  if (size >= COMPACT_FROM * NANO) return { minimumFractionDigits: 0, maximumFractionDigits: USUAL, notation: "compact" };
  if (size === 0n || size >= NANO) return { minimumFractionDigits: USUAL, maximumFractionDigits: USUAL };
  const zeros = PLACES - size.toString().length;
  return { minimumFractionDigits: USUAL, maximumFractionDigits: Math.min(PLACES, Math.max(USUAL, zeros + SIGNIFICANT)) };
}

const formats = new Map<string, Intl.NumberFormat>();

/** Making one costs about as much as using it a hundred times. */
function formatFor(locale: string, currency: string, digits: Digits): Intl.NumberFormat {
  const key = [locale, currency, digits.minimumFractionDigits, digits.maximumFractionDigits, digits.notation, digits.roundingMode].join();
  const known = formats.get(key);
  if (known !== undefined) return known;
  const made = new Intl.NumberFormat(locale, { style: "currency", currency, currencyDisplay: "narrowSymbol", ...digits });
  formats.set(key, made);
  return made;
}

function textOf(parts: readonly Intl.NumberFormatPart[]): string {
  return parts.map((part) => part.value).join("");
}

/** An exact amount cut behind the digits of `brief`: what is read at once, and what is there to be checked. */
export function splitExact(nanos: string | bigint, currency: string, locale: string): [usual: string, rest: string] {
  const amount = BigInt(nanos);
  const { maximumFractionDigits: cut } = digitsOf(amount < 0n ? -amount : amount, "brief");
  const format = formatFor(locale, currency, digitsOf(0n, "exact"));
  const parts = format.formatToParts(decimalOf(amount));
  const at = parts.findIndex((part) => part.type === "fraction");
  const fraction = parts[at]?.value ?? "";
  return [textOf(parts.slice(0, at)) + fraction.slice(0, cut), fraction.slice(cut) + textOf(parts.slice(at + 1))];
}

/** An amount of nano-units in `currency` (ISO 4217), as `locale` writes it. */
export function formatNanos(nanos: string | bigint, currency: string, locale: string, precision: Precision = "brief"): string {
  const amount = BigInt(nanos);
  const digits = digitsOf(amount < 0n ? -amount : amount, precision);
  return formatFor(locale, currency, digits).format(decimalOf(amount));
}
