import type { ReactNode } from "react";
import { AlertDialog } from "radix-ui";
import { useTranslation } from "react-i18next";
import { Button } from "./Button";

interface Props {
  title: string;
  text: string;
  /** What the button that does it says. */
  action: string;
  onConfirm: () => void;
  /** The button that asks. */
  children: ReactNode;
}

/** Asks before something that cannot be taken back. The way out has the focus first. */
export function Confirm({ title, text, action, onConfirm, children }: Props): ReactNode {
  const { t } = useTranslation();
  return (
    <AlertDialog.Root>
      <AlertDialog.Trigger asChild>{children}</AlertDialog.Trigger>
      <AlertDialog.Portal>
        <AlertDialog.Overlay className="overlay" />
        <AlertDialog.Content className="dialog">
          <AlertDialog.Title className="font-display text-xl text-balance">{title}</AlertDialog.Title>
          <AlertDialog.Description className="text-muted mt-2 text-sm text-pretty">{text}</AlertDialog.Description>
          <div className="mt-5 mb-1 flex flex-wrap justify-end gap-2">
            <AlertDialog.Cancel asChild>
              <Button kind="quiet">{t("common.cancel")}</Button>
            </AlertDialog.Cancel>
            <AlertDialog.Action asChild>
              <Button kind="danger" onClick={onConfirm}>
                {action}
              </Button>
            </AlertDialog.Action>
          </div>
        </AlertDialog.Content>
      </AlertDialog.Portal>
    </AlertDialog.Root>
  );
}
