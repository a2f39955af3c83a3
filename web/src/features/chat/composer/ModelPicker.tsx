import type { ReactNode } from "react";
import { ChevronDown } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/ui/Button";
import { Menu, MenuChoices, MenuContent, MenuLabel, MenuTrigger } from "@/components/ui/Menu";
import { chooseModel, useModels } from "./models";

export function ModelPicker(): ReactNode {
  const { t } = useTranslation();
  const { models, current } = useModels();
  if (current === undefined) return <span className="skeleton h-3.5 w-28" />;
  const choices = models.map((model) => ({
    value: model.id,
    label: model.id,
    ...(model.demonstration ? { note: t("models.demonstration") } : {}),
  }));
  return (
    <Menu>
      <MenuTrigger asChild>
        <Button kind="quiet" size="small" className="max-w-52 min-w-0" aria-label={t("models.label", { model: current.id })}>
          <span className="truncate">{current.id}</span>
          <ChevronDown aria-hidden />
        </Button>
      </MenuTrigger>
      <MenuContent align="start" side="top">
        <MenuLabel>{t("models.title")}</MenuLabel>
        <MenuChoices value={current.id} choices={choices} onChoose={chooseModel} />
      </MenuContent>
    </Menu>
  );
}
