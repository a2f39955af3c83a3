import type { ReactNode } from "react";
import { useQueryClient } from "@tanstack/react-query";
import { RefreshCw } from "lucide-react";
import { useTranslation } from "react-i18next";
import type { Message } from "@/api/types";
import { Button } from "@/components/ui/Button";
import { CopyButton } from "@/components/ui/CopyButton";
import { Menu, MenuContent, MenuItem, MenuLabel, MenuSeparator, MenuTrigger } from "@/components/ui/Menu";
import { notifyError } from "@/components/ui/toast";
import { errorText } from "@/i18n/problems";
import { useModels } from "../composer/models";
import { regenerate } from "../writes";
import { AnswerCost } from "./AnswerCost";
import { SiblingSwitcher } from "./SiblingSwitcher";

interface Props {
  message: Message;
  latest: boolean;
  onBranch: (messageId: string) => void;
}

/** Copy, try again, the other versions, and what the answer took. */
export function AnswerTools({ message, latest, onBranch }: Props): ReactNode {
  const { t } = useTranslation();
  return (
    <div className="message-tools" data-always={latest}>
      <SiblingSwitcher message={message} onBranch={onBranch} />
      {message.content !== "" && <CopyButton text={message.content} label={t("thread.copy")} />}
      <RegenerateMenu message={message} onBranch={onBranch} />
      <span className="text-muted min-w-0 truncate pl-1.5 text-xs">{message.model}</span>
      <AnswerCost message={message} />
    </div>
  );
}

export function useRegenerate(message: Message, onBranch: (id: string) => void): (model: string | null) => void {
  const { t } = useTranslation();
  const client = useQueryClient();
  return (model) => {
    regenerate(client, message, model).then(onBranch, (error: unknown) => notifyError(errorText(t, error)));
  };
}

function RegenerateMenu({ message, onBranch }: Omit<Props, "latest">): ReactNode {
  const { t } = useTranslation();
  const { models } = useModels();
  const again = useRegenerate(message, onBranch);
  const others = models.filter((model) => model.id !== message.model);
  return (
    <Menu>
      <MenuTrigger asChild>
        <Button kind="quiet" size="tool" aria-label={t("thread.regenerate")} title={t("thread.regenerate")}>
          <RefreshCw aria-hidden />
        </Button>
      </MenuTrigger>
      <MenuContent align="start">
        <MenuItem onSelect={() => again(message.model ?? null)}>
          <RefreshCw aria-hidden />
          {t("thread.sameModel")}
        </MenuItem>
        {others.length > 0 && (
          <>
            <MenuSeparator />
            <MenuLabel>{t("thread.otherModel")}</MenuLabel>
          </>
        )}
        {others.map((model) => (
          <MenuItem key={model.id} onSelect={() => again(model.id)}>
            {model.id}
          </MenuItem>
        ))}
      </MenuContent>
    </Menu>
  );
}
