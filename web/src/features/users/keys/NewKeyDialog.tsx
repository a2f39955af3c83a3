/** Making a key: first the form, then, once, its secret. */
import { useState, type ReactNode } from "react";
import { X } from "lucide-react";
import { Dialog } from "radix-ui";
import { useTranslation } from "react-i18next";
import type { CreatedApiKey } from "@/api/types";
import { focusSelf } from "@/components/ui/focus-self";
import { IconButton } from "@/components/ui/IconButton";
import { KeySecret } from "./KeySecret";
import { NewKeyForm } from "./NewKeyForm";

interface Props {
  open: boolean;
  onOpenChange: (open: boolean) => void;
}

export function NewKeyDialog({ open, onOpenChange }: Props): ReactNode {
  const { t } = useTranslation("keys");
  const { t: common } = useTranslation();
  const [created, setCreated] = useState<CreatedApiKey | null>(null);
  const change = (next: boolean): void => {
    onOpenChange(next);
    // Nothing keeps the secret when its dialog is gone.
    if (!next) setCreated(null);
  };
  return (
    <Dialog.Root open={open} onOpenChange={change}>
      <Dialog.Portal>
        <Dialog.Overlay className="overlay" />
        <Dialog.Content
          className="dialog key-dialog"
          aria-describedby={undefined}
          onOpenAutoFocus={focusSelf}
          // A slip beside the dialog must not lose what cannot be shown again.
          onInteractOutside={(event) => event.preventDefault()}
        >
          <div className="mb-4 flex items-center justify-between gap-4">
            <Dialog.Title className="font-display text-xl">{created === null ? t("newTitle") : t("createdTitle")}</Dialog.Title>
            <Dialog.Close asChild>
              <IconButton label={common("common.close")}>
                <X aria-hidden />
              </IconButton>
            </Dialog.Close>
          </div>
          {created === null ? <NewKeyForm onCreated={setCreated} /> : <KeySecret created={created} onDone={() => change(false)} />}
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
