/** Whole numbers as they are typed, with the digits of Chinese input methods. */
import type { DraftProblem } from "./problems";

function plain(text: string): string {
  return text.normalize("NFKC").replace("−", "-").trim();
}

/** The number; undefined where nothing is typed. */
export function wholeOf(text: string): number | undefined {
  return plain(text) === "" ? undefined : Number(plain(text));
}

/** Null for an empty field and for a whole number from `least` to `most`. */
export function wholeProblem(text: string, least: number, most = 999_999_999): DraftProblem | null {
  const value = plain(text);
  if (value === "") return null;
  if (!/^-?\d{1,10}$/.test(value)) return "not_whole";
  return Number(value) < least || Number(value) > most ? "not_within" : null;
}
