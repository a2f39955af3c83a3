import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { SidePage } from "@/app/SidePage";

export function KeysPage(): ReactNode {
  const { t } = useTranslation("keys");
  return <SidePage title={t("title")}>{null}</SidePage>;
}
