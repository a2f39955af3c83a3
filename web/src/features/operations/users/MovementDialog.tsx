/** Granting credit, booking a payment, correcting a balance: an amount, a reason, and exactly one booking. */
import { useEffect, useRef, useState, type FormEvent, type ReactNode } from "react";
import { useQueryClient } from "@tanstack/react-query";
import { X } from "lucide-react";
import { Dialog } from "radix-ui";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/ui/Button";
import { Field } from "@/components/ui/Field";
import { focusSelf } from "@/components/ui/focus-self";
import { IconButton } from "@/components/ui/IconButton";
import { Notice } from "@/components/ui/Notice";
import { Spinner } from "@/components/ui/Spinner";
import { notify } from "@/components/ui/toast";
import { useProblemText } from "@/i18n/problems";
import { formatNanos } from "@/lib/money";
import { formatDecimal, parseDecimal } from "../decimal";
import { AreaField } from "../parts/AreaField";
import { operatorKeys } from "../queries";
import type { Account } from "../types";
import type { MovementKind } from "../writes";
import { checkMovement, fieldOf, type MovementField } from "./movement";
import { useTransfer, type TransferState } from "./use-transfer";

const MAX_REASON = 500;

interface Props {
  user: Account;
  kind: MovementKind;
  /** The button that opens the dialog. */
  children: ReactNode;
}

export function MovementDialog({ user, kind, children }: Props): ReactNode {
  const [open, setOpen] = useState(false);
  return (
    <Dialog.Root open={open} onOpenChange={setOpen}>
      <Dialog.Trigger asChild>{children}</Dialog.Trigger>
      <Dialog.Portal>
        <Dialog.Overlay className="overlay" />
        <Dialog.Content className="dialog" onOpenAutoFocus={focusSelf}>
          <MovementForm user={user} kind={kind} onDone={() => setOpen(false)} />
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

type Complaints = Partial<Record<MovementField | "rest", string>>;

/** The complaints beside the fields: ours before sending, the server's after. */
function useComplaints(transfer: TransferState): [Complaints, (own: Complaints) => void] {
  const problemText = useProblemText("operations");
  const [own, setOwn] = useState<Complaints>({});
  const { failure } = transfer;
  if (failure === null || Object.keys(own).length > 0) return [own, setOwn];
  return [{ [fieldOf(failure) ?? "rest"]: problemText(failure.code, failure.detail) }, setOwn];
}

function MovementForm({ user, kind: asked, onDone }: { user: Account; kind: MovementKind; onDone: () => void }): ReactNode {
  const { t, i18n } = useTranslation("operations");
  const { t: common } = useTranslation();
  const client = useQueryClient();
  const transfer = useTransfer(user.id);
  const { unsettled, busy, failure } = transfer;
  const [amount, setAmount] = useState(() => (unsettled === null ? "" : formatDecimal(BigInt(unsettled.amountNanos))));
  const [reason, setReason] = useState(unsettled?.reason ?? "");
  const [complaints, setOwn] = useComplaints(transfer);
  const box = useRef<HTMLFormElement>(null);
  const kind = unsettled?.kind ?? asked;
  const { currency } = user.wallet;
  const parsed = parseDecimal(amount);

  useEffect(() => {
    box.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus();
  }, [failure, complaints.amount, complaints.reason]);

  const book = async (): Promise<void> => {
    const checked = checkMovement(kind, amount, reason);
    if (!checked.ok) {
      setOwn(Object.fromEntries(Object.entries(checked.problems).map(([field, problem]) => [field, t(`draft.${problem}`)])));
      return;
    }
    setOwn({});
    const answer = await transfer.send(checked.transfer);
    if (answer === null) return;
    client.setQueryData(operatorKeys.user(user.id), { ...user, wallet: answer.wallet });
    // One's own balance may be the one that changed.
    for (const queryKey of [operatorKeys.users, operatorKeys.events, ["wallet"]]) void client.invalidateQueries({ queryKey });
    notify(t("movement.done", { amount: formatNanos(checked.transfer.amountNanos, currency, i18n.language, "exact"), name: user.username }));
    onDone();
  };
  const onSubmit = (event: FormEvent): void => {
    event.preventDefault();
    void book();
  };

  return (
    <form ref={box} noValidate className="flex flex-col gap-4" onSubmit={onSubmit}>
      <div className="flex items-start justify-between gap-4">
        <div>
          <Dialog.Title className="font-display text-xl">{t(`movement.title.${kind}`)}</Dialog.Title>
          <Dialog.Description className="text-muted mt-1 text-sm text-pretty wrap-anywhere">
            {t(`movement.text.${kind}`, { name: user.username })}
          </Dialog.Description>
        </div>
        <Dialog.Close asChild>
          <IconButton label={common("common.close")}>
            <X aria-hidden />
          </IconButton>
        </Dialog.Close>
      </div>
      <Field
        label={t("movement.amount", { currency })}
        hint={parsed.ok ? formatNanos(parsed.nanos, currency, i18n.language, "exact") : t(`movement.amountHint.${kind}`)}
        inputMode={kind === "adjustments" ? "text" : "decimal"}
        autoComplete="off"
        value={amount}
        disabled={unsettled !== null}
        error={complaints.amount}
        onChange={(event) => setAmount(event.target.value)}
      />
      <AreaField
        label={t("movement.reason")}
        hint={t("movement.reasonHint")}
        rows={2}
        maxLength={MAX_REASON}
        value={reason}
        disabled={unsettled !== null}
        error={complaints.reason}
        onChange={(event) => setReason(event.target.value)}
      />
      {complaints.rest !== undefined && unsettled === null && <Notice text={complaints.rest} requestId={failure?.requestId ?? null} />}
      {unsettled !== null && !busy && <Unsettled transfer={transfer} />}
      <div className="mb-1 flex justify-end gap-2">
        <Dialog.Close asChild>
          <Button kind="quiet">{t("cancel")}</Button>
        </Dialog.Close>
        <Button kind="primary" type="submit" aria-disabled={busy}>
          {busy && <Spinner />}
          {unsettled === null ? t(`movement.action.${kind}`) : common("common.tryAgain")}
        </Button>
      </div>
    </form>
  );
}

/** No answer came: it may be booked or not. Trying again is safe, a new booking is not. */
function Unsettled({ transfer }: { transfer: TransferState }): ReactNode {
  const { t } = useTranslation("operations");
  return (
    <Notice text={t("movement.unsettled")} requestId={transfer.failure?.requestId ?? null}>
      <Button size="small" className="self-start" onClick={transfer.forget}>
        {t("movement.forget")}
      </Button>
    </Notice>
  );
}
