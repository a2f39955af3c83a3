/** Removing a group: only one that nobody is in and no channel names. */
import type { ReactNode } from "react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Trash2 } from "lucide-react";
import { useTranslation } from "react-i18next";
import { ApiError } from "@/api/problem";
import { Confirm } from "@/components/ui/Confirm";
import { IconButton } from "@/components/ui/IconButton";
import { notify, notifyError } from "@/components/ui/toast";
import { useErrorText } from "@/i18n/problems";
import { removeGroup } from "../writes";
import { usersOf, type GroupRow } from "./groups";

export function RemoveGroup({ row }: { row: GroupRow }): ReactNode {
  const { t } = useTranslation("relay");
  const client = useQueryClient();
  const errorText = useErrorText("relay");
  const { name, title } = row;
  const refusal = (error: unknown): string => {
    const use = error instanceof ApiError && error.code === "group_in_use" ? usersOf(error.data) : null;
    if (use === null) return errorText(error);
    return use.channels.length === 0 ? t("groups.usedBy", { count: use.users, title }) : t("groups.namedBy", { title, channels: use.channels.join(", ") });
  };
  const { mutate, isPending } = useMutation({
    mutationFn: () => removeGroup(client, name),
    onSuccess: () => notify(t("groups.removed", { title })),
    onError: (error) => notifyError(refusal(error)),
  });
  return (
    <Confirm title={t("groups.removeTitle", { title })} text={t("groups.removeText")} action={t("groups.remove")} onConfirm={() => mutate()}>
      <IconButton label={t("groups.removeName", { name })} disabled={isPending}>
        <Trash2 aria-hidden />
      </IconButton>
    </Confirm>
  );
}
