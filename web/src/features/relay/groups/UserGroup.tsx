/** Which group a user is in, and the way into another one. */
import { useState, type FormEvent, type ReactNode } from "react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/ui/Button";
import { Spinner } from "@/components/ui/Spinner";
import { notify, notifyError } from "@/components/ui/toast";
import { useErrorText } from "@/i18n/problems";
import { SelectField } from "@/features/operations/parts/SelectField";
import type { Account } from "@/features/operations/types";
import { groupsQuery } from "../queries";
import { assignGroup } from "../writes";
import { withDefault } from "./groups";

export function UserGroup({ user }: { user: Account }): ReactNode {
  const { t } = useTranslation("relay");
  const client = useQueryClient();
  const errorText = useErrorText("relay");
  const { data } = useQuery(groupsQuery());
  const [chosen, setChosen] = useState(user.group);
  const { mutate, isPending } = useMutation({
    mutationFn: () => assignGroup(client, user.id, chosen),
    onSuccess: () => notify(t("groups.assigned", { user: user.username, group: chosen })),
    onError: (error) => notifyError(errorText(error)),
  });
  const rows = withDefault(data ?? []);
  const names = [...new Set([...rows.map(({ name }) => name), user.group])];
  const label = (name: string): string => {
    const row = rows.find((each) => each.name === name);
    const title = row === undefined || row.title === "" || row.title === name ? name : `${row.title} (${name})`;
    return row === undefined ? title : `${title} · ${t("groups.times", { factor: row.factor })}`;
  };
  const send = (event: FormEvent): void => {
    event.preventDefault();
    if (!isPending && chosen !== user.group) mutate();
  };
  return (
    <form onSubmit={send} className="flex flex-wrap items-end gap-2">
      <div className="w-full max-w-xs">
        <SelectField label={t("groups.group")} value={chosen} onChange={(event) => setChosen(event.target.value)}>
          {names.map((name) => (
            <option key={name} value={name}>
              {label(name)}
            </option>
          ))}
        </SelectField>
      </div>
      {chosen !== user.group && (
        <Button type="submit" aria-disabled={isPending}>
          {isPending && <Spinner />}
          {t("groups.assign")}
        </Button>
      )}
    </form>
  );
}
