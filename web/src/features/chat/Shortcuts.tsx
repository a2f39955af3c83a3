import type { ReactNode } from "react";
import { X } from "lucide-react";
import { Dialog } from "radix-ui";
import { useTranslation } from "react-i18next";
import { focusSelf } from "@/components/ui/focus-self";
import { IconButton } from "@/components/ui/IconButton";
import { setShortcuts, useLayout } from "./layout-state";

const COMMAND = /mac|iphone|ipad/i.test(navigator.userAgent) ? "⌘" : "Ctrl";

const SHORTCUTS = [
  { name: "send", keys: ["Enter"] },
  { name: "newLine", keys: ["Shift", "Enter"] },
  { name: "newChat", keys: [COMMAND, "Shift", "O"] },
  { name: "focus", keys: ["/"] },
  { name: "stop", keys: ["Esc"] },
  { name: "sidebar", keys: [COMMAND, "Shift", "S"] },
  { name: "help", keys: [COMMAND, "/"] },
] as const;

export function Shortcuts(): ReactNode {
  const { t } = useTranslation();
  const open = useLayout((state) => state.shortcutsOpen);
  return (
    <Dialog.Root open={open} onOpenChange={setShortcuts}>
      <Dialog.Portal>
        <Dialog.Overlay className="overlay" />
        <Dialog.Content className="dialog" aria-describedby={undefined} onOpenAutoFocus={focusSelf}>
          <div className="mb-4 flex items-center justify-between gap-4">
            <Dialog.Title className="font-display text-xl">{t("shortcuts.title")}</Dialog.Title>
            <Dialog.Close asChild>
              <IconButton label={t("common.close")}>
                <X aria-hidden />
              </IconButton>
            </Dialog.Close>
          </div>
          <dl className="divide-line divide-y">
            {SHORTCUTS.map(({ name, keys }) => (
              <div key={name} className="flex items-center justify-between gap-6 py-2.5 text-sm">
                <dt>{t(`shortcuts.${name}`)}</dt>
                <dd className="flex gap-1">
                  {keys.map((key) => (
                    <kbd key={key}>{key}</kbd>
                  ))}
                </dd>
              </div>
            ))}
          </dl>
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
