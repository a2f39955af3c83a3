/** A movement as it is typed, and what is wrong with it before the server is asked. */
import type { ApiError } from "@/api/problem";
import { parseDecimal, type DecimalProblem } from "../decimal";
import type { MovementKind, Transfer } from "../writes";

export type MovementProblem = DecimalProblem | "not_positive" | "zero" | "reason_missing";
export type MovementField = "amount" | "reason";

/** The server's limit for one movement: a million units. */
const MAX_NANOS = 1_000_000n * 1_000_000_000n;

export type Checked =
  | { readonly ok: true; readonly transfer: Transfer }
  | { readonly ok: false; readonly problems: Partial<Record<MovementField, MovementProblem>> };

function amountProblem(kind: MovementKind, nanos: bigint): MovementProblem | null {
  if (nanos > MAX_NANOS || nanos < -MAX_NANOS) return "too_large";
  if (kind === "adjustments") return nanos === 0n ? "zero" : null;
  return nanos <= 0n ? "not_positive" : null;
}

/** Only an adjustment may take away. */
export function checkMovement(kind: MovementKind, amount: string, reason: string): Checked {
  const parsed = parseDecimal(amount);
  const problem = parsed.ok ? amountProblem(kind, parsed.nanos) : parsed.problem;
  const problems: Partial<Record<MovementField, MovementProblem>> = {};
  if (problem !== null) problems.amount = problem;
  if (reason.trim() === "") problems.reason = "reason_missing";
  if (!parsed.ok || Object.keys(problems).length > 0) return { ok: false, problems };
  return { ok: true, transfer: { kind, amountNanos: parsed.nanos.toString(), reason: reason.trim() } };
}

const FIELD_OF_CODE: Readonly<Record<string, MovementField>> = {
  invalid_amount: "amount",
  amount_too_large: "amount",
  reason_missing: "reason",
  reason_too_long: "reason",
};

/** The field that a refusal is about; null for the movement as a whole. */
export function fieldOf(error: ApiError): MovementField | null {
  const named = error.fields[0]?.field;
  if (named === "amount_nanos") return "amount";
  if (named === "reason") return "reason";
  return FIELD_OF_CODE[error.code] ?? null;
}
