import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { SidePage } from "@/app/SidePage";

export function BalancePage(): ReactNode {
  const { t } = useTranslation("billing");
  return <SidePage title={t("title")}>{null}</SidePage>;
}
