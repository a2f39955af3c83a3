/** Failures in the reader's language: by stable code where we know it, else in the server's own words. */
import type { TFunction } from "i18next";
import { useTranslation } from "react-i18next";
import { ApiError } from "@/api/problem";
import type { PageTexts } from "./index";

export const KNOWN_PROBLEMS = [
  "email_taken",
  "username_taken",
  "weak_password",
  "invalid_email",
  "invalid_username",
  "invalid_credentials",
  "message_too_long",
  "reply_in_progress",
  "unknown_model",
  "insufficient_credit",
  "queue_full",
  "read_model_behind",
  "not_found",
  "session_not_found",
  "message_not_found",
  "session_full",
  "too_many_replies",
  "too_many_attempts",
  "sign_in_busy",
  "database_unavailable",
  "bus_unavailable",
  "internal_error",
  "idempotency_key_reused",
  "network",
  // Why a reply failed.
  "upstream_unavailable",
  "upstream_rate_limited",
  "upstream_refused",
  "upstream_garbage",
  "upstream_cut",
  "context_too_long",
  "content_filtered",
  "timed_out",
  "model_missing",
  "model_busy",
  "local_failure",
  "misconfigured",
  "worker_failed",
] as const;

type KnownProblem = (typeof KNOWN_PROBLEMS)[number];

function isKnown(code: string): code is KnownProblem {
  return (KNOWN_PROBLEMS as readonly string[]).includes(code);
}

/** The sentence for a code; `detail` for codes that this page does not know. */
export function problemText(t: TFunction, code: string, detail: string): string {
  if (isKnown(code)) return t(`problem.${code}`);
  return detail === "" ? t("problem.unknown") : detail;
}

export function errorText(t: TFunction, error: unknown): string {
  return error instanceof ApiError ? problemText(t, error.code, error.detail) : t("problem.unknown");
}

/** The sentence for a code on a page with texts of its own: its `problem.<code>` comes before the common one. */
export function useProblemText(page: PageTexts): (code: string, detail: string) => string {
  const { t, i18n } = useTranslation();
  return (code, detail) => {
    const own = `${page}:problem.${code}`;
    return i18n.exists(own) ? (i18n.t as (key: string) => string)(own) : problemText(t, code, detail);
  };
}

/** `errorText` on a page with texts of its own. */
export function useErrorText(page: PageTexts): (error: unknown) => string {
  const { t } = useTranslation();
  const text = useProblemText(page);
  return (error) => (error instanceof ApiError ? text(error.code, error.detail) : errorText(t, error));
}
