import { useEffect, useRef, type InputEvent, type ReactNode } from "react";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { Search, Users } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Field } from "@/components/ui/Field";
import { Empty, Loaded, MoreButton } from "@/components/ui/Loaded";
import { FROM, GridTable, Section } from "../parts/Section";
import { Amount, Badge, Time } from "../parts/values";
import { usersQuery } from "../queries";
import type { OperationsSearch } from "../search";
import type { Account } from "../types";
import { UserPage } from "./UserPage";

const TYPING_MS = 250;

export function UsersSection(): ReactNode {
  const { user, query = "" }: OperationsSearch = useSearch({ strict: false });
  return user === undefined ? <UserList search={query} /> : <UserPage key={user} id={user} search={query} />;
}

/** Follows the typing at a distance; half-composed characters are not searched for. */
function SearchField({ value }: { value: string }): ReactNode {
  const { t } = useTranslation("operations");
  const navigate = useNavigate();
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const look = (text: string): void => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      const search = text.trim() === "" ? {} : { query: text.trim() };
      void navigate({ to: "/operations/$section", params: { section: "users" }, search, replace: true });
    }, TYPING_MS);
  };
  const onInput = (event: InputEvent<HTMLInputElement>): void => {
    if (!event.nativeEvent.isComposing) look(event.currentTarget.value);
  };
  return (
    <search className="w-full max-w-sm">
      <Field
        label={t("users.search")}
        type="search"
        defaultValue={value}
        autoComplete="off"
        autoCapitalize="none"
        spellCheck={false}
        after={<Search aria-hidden className="text-muted mr-3 size-4" />}
        onInput={onInput}
        onCompositionEnd={(event) => look(event.currentTarget.value)}
      />
    </search>
  );
}

function UserList({ search }: { search: string }): ReactNode {
  const { t } = useTranslation("operations");
  const query = useInfiniteQuery(usersQuery(search));
  const users = query.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Section label={t("sections.users")}>
      <SearchField value={search} />
      <Loaded query={query} texts="operations" height="26rem">
        {users.length === 0 ? (
          <Empty icon={Users} title={t("users.emptyTitle")} text={t("users.emptyText")} />
        ) : (
          <UserTable users={users} search={search} busy={query.isPlaceholderData} />
        )}
        <MoreButton query={query} />
      </Loaded>
    </Section>
  );
}

function UserTable({ users, search, busy }: { users: readonly Account[]; search: string; busy: boolean }): ReactNode {
  const { t } = useTranslation("operations");
  return (
    <GridTable
      caption={t("sections.users")}
      busy={busy}
      columns={[
        { title: t("users.user") },
        { title: t("wallet.available"), number: true },
        { title: t("wallet.held"), number: true, from: "sm" },
        { title: t("wallet.balance"), number: true, from: "md" },
        { title: t("users.since"), from: "lg" },
      ]}
    >
      {users.map((user) => (
        <tr key={user.id}>
          <th scope="row">
            <span className="flex flex-wrap items-center gap-2">
              <Link
                to="/operations/$section"
                params={{ section: "users" }}
                search={{ user: user.id, ...(search === "" ? {} : { query: search }) }}
                className="link wrap-anywhere"
              >
                {user.username}
              </Link>
              {user.role === "admin" && <Badge tone="good">{t("users.admin")}</Badge>}
            </span>
            <span className="text-muted block text-xs font-normal wrap-anywhere">{user.email}</span>
          </th>
          <td data-number>
            <Amount nanos={user.wallet.available_nanos} currency={user.wallet.currency} />
          </td>
          <td data-number className={FROM.sm}>
            <Amount nanos={user.wallet.held_nanos} currency={user.wallet.currency} />
          </td>
          <td data-number className={FROM.md}>
            <Amount nanos={user.wallet.balance_nanos} currency={user.wallet.currency} />
          </td>
          <td className={FROM.lg}>
            <Time at={user.created_at} />
          </td>
        </tr>
      ))}
    </GridTable>
  );
}
