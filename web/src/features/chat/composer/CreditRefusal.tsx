import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import type { ApiError } from "@/api/problem";
import { useMoney } from "@/features/billing/wallet";

/** An amount in a problem's `data`; null where there is none that can be read. */
function amountIn(data: Readonly<Record<string, unknown>>, name: string): bigint | null {
  const value = data[name];
  return typeof value === "string" && /^-?\d+$/.test(value) ? BigInt(value) : null;
}

/** Why a message was refused for want of credit: what it would have needed, and what there is. */
export function CreditRefusal({ failure }: { failure: ApiError }): ReactNode {
  const { t } = useTranslation();
  const money = useMoney();
  const required = amountIn(failure.data, "required_nanos");
  const available = amountIn(failure.data, "available_nanos");
  if (required === null || available === null) return t("problem.insufficient_credit");
  return t("credit.refused", { required: money(required, "exact"), available: money(available, "exact") });
}
