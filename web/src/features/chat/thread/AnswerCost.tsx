import { useState, type ReactNode } from "react";
import { Tooltip } from "radix-ui";
import { useTranslation } from "react-i18next";
import type { Message } from "@/api/types";
import { useMoney } from "@/features/billing/wallet";

/** What an answer took: its tokens, and once it is settled what it cost. More behind a tap, the focus or the pointer. */
export function AnswerCost({ message }: { message: Message }): ReactNode {
  const { t, i18n } = useTranslation();
  const money = useMoney();
  const [open, setOpen] = useState(false);
  const { usage, cost_nanos: cost } = message;
  if (usage == null) return null;
  const count = (tokens: number): string => tokens.toLocaleString(i18n.language);
  const tokens = t("thread.tokens", { count: usage.output_tokens, shown: count(usage.output_tokens) });
  const both = t("thread.usage", { input: count(usage.input_tokens), output: count(usage.output_tokens) });
  return (
    <Tooltip.Root open={open} onOpenChange={setOpen}>
      <Tooltip.Trigger asChild>
        {/* A tap would close what it opens: fingers have no pointer to rest. */}
        <button type="button" className="answer-cost" onPointerDown={(event) => event.preventDefault()} onClick={() => setOpen(true)}>
          {tokens}
          {cost != null && <span data-cost={cost}> · {money(cost)}</span>}
        </button>
      </Tooltip.Trigger>
      <Tooltip.Portal>
        <Tooltip.Content className="tooltip" sideOffset={6} collisionPadding={8}>
          {both}
          {cost != null && ` · ${money(cost, "exact")}`}
        </Tooltip.Content>
      </Tooltip.Portal>
    </Tooltip.Root>
  );
}
