import type { ReactNode } from "react";
import { useRouter, type ErrorComponentProps } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/ui/Button";
import { errorText } from "@/i18n/problems";
import { NoticePage } from "./NoticePage";

/** What is shown when a page cannot be built; trying again asks the server again. */
export function ErrorPage({ error, reset }: ErrorComponentProps): ReactNode {
  const { t } = useTranslation();
  const router = useRouter();
  const again = (): void => {
    reset();
    void router.invalidate();
  };
  return (
    <NoticePage title={t("errorPage.title")} text={errorText(t, error)}>
      <Button kind="primary" onClick={again}>
        {t("common.tryAgain")}
      </Button>
      <Button kind="quiet" onClick={() => location.reload()}>
        {t("errorPage.reload")}
      </Button>
    </NoticePage>
  );
}
