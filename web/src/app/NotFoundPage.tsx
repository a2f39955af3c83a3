import type { ReactNode } from "react";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { buttonClass } from "@/components/ui/Button";
import { NoticePage } from "./NoticePage";

export function NotFoundPage(): ReactNode {
  const { t } = useTranslation();
  return (
    <NoticePage title={t("notFound.title")} text={t("notFound.text")}>
      <Link to="/" className={buttonClass({ kind: "primary" })}>
        {t("notFound.home")}
      </Link>
    </NoticePage>
  );
}
