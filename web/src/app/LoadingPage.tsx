import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Mark } from "@/components/ui/Brand";

export function LoadingPage(): ReactNode {
  const { t } = useTranslation();
  return (
    <main className="grid min-h-dvh place-items-center" aria-busy>
      <h1 className="sr-only">{t("common.loading")}</h1>
      <Mark className="size-10 animate-pulse" />
    </main>
  );
}
