/** Making a key: a button, behind it first the form, then, once, the secret. */
import { useState, type ReactNode } from "react";
import { Plus, X } from "lucide-react";
import { Dialog } from "radix-ui";
import { useTranslation } from "react-i18next";
import type { CreatedApiKey } from "@/api/types";
import { Button } from "@/components/ui/Button";
import { focusSelf } from "@/components/ui/focus-self";
import { IconButton } from "@/components/ui/IconButton";
import { KeySecret } from "./KeySecret";
import { NewKeyForm } from "./NewKeyForm";

export function NewKeyDialog(): ReactNode {
  const { t } = useTranslation("keys");
  const { t: common } = useTranslation();
  const [open, setOpen] = useState(false);
  const [created, setCreated] = useState<CreatedApiKey | null>(null);
  const change = (next: boolean): void => {
    setOpen(next);
    // Nothing keeps the secret when its dialog is gone.
    if (!next) setCreated(null);
  };
  return (
    <Dialog.Root open={open} onOpenChange={change}>
      <Dialog.Trigger asChild>
        <Button kind="primary">
          <Plus aria-hidden />
          {t("new")}
        </Button>
      </Dialog.Trigger>
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
