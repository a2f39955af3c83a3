/** Adding a group, or changing what its people pay. */
import { useEffect, useRef, useState, type FormEvent, type ReactNode } from "react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { X } from "lucide-react";
import { Dialog } from "radix-ui";
import { useTranslation } from "react-i18next";
import { networkError } from "@/api/problem";
import { Button } from "@/components/ui/Button";
import { Field } from "@/components/ui/Field";
import { focusSelf } from "@/components/ui/focus-self";
import { IconButton } from "@/components/ui/IconButton";
import { Notice } from "@/components/ui/Notice";
import { Spinner } from "@/components/ui/Spinner";
import { notify } from "@/components/ui/toast";
import { useProblemText } from "@/i18n/problems";
import { randomId } from "@/lib/uuid";
import { useDraftText } from "../channels/use-channel-form";
import { addGroup, changeGroup } from "../writes";
import { groupChange, groupProblems, newGroup, type GroupDraft, type GroupRow } from "./groups";

/** `group` is the one that is changed; null adds a new one. The button that opens the dialog is its child. */
export function GroupDialog({ group, children }: { group: GroupRow | null; children: ReactNode }): ReactNode {
  const [open, setOpen] = useState(false);
  return (
    <Dialog.Root open={open} onOpenChange={setOpen}>
      <Dialog.Trigger asChild>{children}</Dialog.Trigger>
      <Dialog.Portal>
        <Dialog.Overlay className="overlay" />
        <Dialog.Content className="dialog" onOpenAutoFocus={focusSelf}>
          <GroupForm group={group} onDone={() => setOpen(false)} />
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

type Complaints = Partial<Record<keyof GroupDraft | "rest", string>>;

/** Where a refusal belongs. */
const FIELD_OF_CODE: Readonly<Record<string, keyof GroupDraft>> = { invalid_name: "name", group_already_added: "name", invalid_title: "title" };

function useGroupForm(group: GroupRow | null, onDone: () => void) {
  const { t } = useTranslation("relay");
  const client = useQueryClient();
  const draftText = useDraftText();
  const problemText = useProblemText("relay");
  const [draft, setDraft] = useState<GroupDraft>({ name: group?.name ?? "", title: group?.title ?? "", factor: group?.factor ?? "1" });
  const [complaints, setComplaints] = useState<Complaints>({});
  const attempt = useRef({ key: "", body: "" });

  const save = useMutation({
    mutationFn: async (): Promise<void> => {
      // The group that everybody is in from the beginning is made when something is first said of it.
      if (group === null || !group.made) {
        const body = newGroup(draft);
        const text = JSON.stringify(body);
        if (attempt.current.body !== text) attempt.current = { key: randomId(), body: text };
        return addGroup(client, body, attempt.current.key);
      }
      const patch = groupChange(draft, group);
      if (patch !== null) await changeGroup(client, group.name, patch);
    },
    onSuccess: () => {
      notify(t("groups.saved", { name: draft.title.trim() }));
      onDone();
    },
    onError: (cause) => {
      const error = networkError(cause);
      if (!error.transient) attempt.current = { key: "", body: "" };
      setComplaints({ [FIELD_OF_CODE[error.code] ?? "rest"]: problemText(error.code, error.detail) });
    },
  });

  const submit = (): void => {
    if (save.isPending) return;
    const found = Object.entries(groupProblems(draft));
    setComplaints(Object.fromEntries(found.map(([field, problem]) => [field, draftText(problem)])));
    if (found.length === 0) save.mutate();
  };
  return { draft, edit: (changes: Partial<GroupDraft>) => setDraft((now) => ({ ...now, ...changes })), complaints, busy: save.isPending, submit };
}

function GroupForm({ group, onDone }: { group: GroupRow | null; onDone: () => void }): ReactNode {
  const { t } = useTranslation("relay");
  const { t: common } = useTranslation();
  const { draft, edit, complaints, busy, submit } = useGroupForm(group, onDone);
  const box = useRef<HTMLFormElement>(null);
  useEffect(() => {
    box.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus();
  }, [complaints]);
  const onSubmit = (event: FormEvent): void => {
    event.preventDefault();
    submit();
  };
  return (
    <form ref={box} noValidate className="flex flex-col gap-4" onSubmit={onSubmit}>
      <div className="flex items-start justify-between gap-4">
        <div>
          <Dialog.Title className="font-display text-xl">{group === null ? t("groups.newTitle") : t("groups.editTitle", { name: group.name })}</Dialog.Title>
          <Dialog.Description className="text-muted mt-1 text-sm text-pretty">{t("groups.formText")}</Dialog.Description>
        </div>
        <Dialog.Close asChild>
          <IconButton label={common("common.close")}>
            <X aria-hidden />
          </IconButton>
        </Dialog.Close>
      </div>
      {group === null && (
        <Field
          label={t("groups.name")}
          hint={t("groups.nameHint")}
          maxLength={40}
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          value={draft.name}
          error={complaints.name}
          onChange={(event) => edit({ name: event.target.value })}
        />
      )}
      <Field
        label={t("groups.titleField")}
        hint={t("groups.titleHint")}
        maxLength={80}
        autoComplete="off"
        value={draft.title}
        error={complaints.title}
        onChange={(event) => edit({ title: event.target.value })}
      />
      <Field
        label={t("groups.factor")}
        hint={t("groups.factorHint")}
        inputMode="decimal"
        autoComplete="off"
        value={draft.factor}
        error={complaints.factor}
        onChange={(event) => edit({ factor: event.target.value })}
      />
      {complaints.rest !== undefined && <Notice text={complaints.rest} />}
      {group !== null && complaints.name !== undefined && <Notice text={complaints.name} />}
      <Button kind="primary" type="submit" className="mb-2" aria-disabled={busy}>
        {busy && <Spinner />}
        {group === null ? t("groups.add") : t("form.save")}
      </Button>
    </form>
  );
}
