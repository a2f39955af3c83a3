import type { ReactNode } from "react";
import { RefreshCw } from "lucide-react";
import { useTranslation } from "react-i18next";
import type { Message } from "@/api/types";
import { Button } from "@/components/ui/Button";
import { Notice } from "@/components/ui/Notice";
import { problemText } from "@/i18n/problems";
import { useRegenerate } from "./AnswerTools";

/** Why there is no whole answer, and the way to one. The run's id is what an operator can look up. */
export function FailedReply({ message, onBranch }: { message: Message; onBranch: (id: string) => void }): ReactNode {
  const { t } = useTranslation();
  const again = useRegenerate(message, onBranch);
  const text = message.error == null ? t("thread.failed") : problemText(t, message.error.code, message.error.message);
  return (
    <div className="mt-3">
      <Notice text={text} requestId={message.run_id ?? null}>
        <div>
          <Button size="small" onClick={() => again(message.model ?? null)}>
            <RefreshCw aria-hidden />
            {t("common.tryAgain")}
          </Button>
        </div>
      </Notice>
    </div>
  );
}
