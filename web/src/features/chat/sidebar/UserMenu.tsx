/** The account: balance, usage, keys, the operator's pages, theme, language, shortcuts, signing out. */
import type { ReactNode } from "react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ChartColumn, ChevronsUpDown, Gauge, Keyboard, KeyRound, LogOut, Wallet } from "lucide-react";
import { useTranslation } from "react-i18next";
import { useStore } from "zustand";
import { credentials } from "@/api/credentials";
import { Menu, MenuChoices, MenuContent, MenuItem, MenuLabel, MenuSeparator, MenuTrigger } from "@/components/ui/Menu";
import { notifyError } from "@/components/ui/toast";
import { useMoney, walletQuery } from "@/features/billing/wallet";
import { signOut } from "@/features/users/actions";
import { LANGUAGES, setLanguage, type Language } from "@/i18n";
import { errorText } from "@/i18n/problems";
import { THEMES, useTheme } from "@/lib/theme";
import { closeDrawer, setShortcuts } from "../layout-state";

const LANGUAGE_CHOICES = (Object.keys(LANGUAGES) as Language[]).map((value) => ({ value, label: LANGUAGES[value] }));

export function UserMenu(): ReactNode {
  const { t, i18n } = useTranslation();
  const { theme, setTheme } = useTheme();
  const user = useStore(credentials, (state) => state.grant?.user);
  const name = user?.username ?? "";
  const themes = THEMES.map((value) => ({ value, label: t(`settings.theme.${value}`) }));
  const leave = (): void => {
    signOut().catch((error: unknown) => notifyError(errorText(t, error)));
  };
  return (
    <div className="border-line border-t p-2">
      <Menu>
        <MenuTrigger className="hover:bg-hover data-[state=open]:bg-hover flex min-h-12 w-full cursor-pointer items-center gap-3 rounded-xl px-2.5 text-left">
          <span aria-hidden className="avatar">
            {Array.from(name)[0]?.toUpperCase()}
          </span>
          <span className="min-w-0 flex-1 truncate text-sm font-medium">{name}</span>
          <ChevronsUpDown aria-hidden className="text-muted size-4" />
          <span className="sr-only">{t("settings.menu")}</span>
        </MenuTrigger>
        <MenuContent align="start" side="top">
          <p className="text-muted max-w-60 truncate px-2.5 py-1.5 text-xs">{user?.email}</p>
          <MenuSeparator />
          <PageItems admin={user?.role === "admin"} />
          <MenuSeparator />
          <MenuLabel>{t("settings.appearance")}</MenuLabel>
          <MenuChoices value={theme} choices={themes} onChoose={setTheme} />
          <MenuSeparator />
          <MenuLabel>{t("settings.language")}</MenuLabel>
          <MenuChoices
            value={LANGUAGE_CHOICES.find((choice) => choice.value === i18n.language)?.value ?? null}
            choices={LANGUAGE_CHOICES}
            onChoose={(language) => void setLanguage(language)}
          />
          <MenuSeparator />
          <MenuItem onSelect={() => setShortcuts(true)}>
            <Keyboard aria-hidden />
            {t("shortcuts.title")}
          </MenuItem>
          <MenuItem onSelect={leave}>
            <LogOut aria-hidden />
            {t("users.signOut")}
          </MenuItem>
        </MenuContent>
      </Menu>
    </div>
  );
}

/** The ways to the pages beside the chat. */
function PageItems({ admin }: { admin: boolean }): ReactNode {
  const { t } = useTranslation();
  const { data: wallet } = useQuery(walletQuery());
  const money = useMoney();
  return (
    <>
      <MenuItem asChild>
        <Link to="/balance" onClick={closeDrawer}>
          <Wallet aria-hidden />
          <span className="flex-1">{t("settings.balance")}</span>
          {wallet !== undefined && <span className="text-muted tabular-nums">{money(wallet.available_nanos, "floor")}</span>}
        </Link>
      </MenuItem>
      <MenuItem asChild>
        <Link to="/usage" onClick={closeDrawer}>
          <ChartColumn aria-hidden />
          {t("settings.usage")}
        </Link>
      </MenuItem>
      <MenuItem asChild>
        <Link to="/keys" onClick={closeDrawer}>
          <KeyRound aria-hidden />
          {t("settings.keys")}
        </Link>
      </MenuItem>
      {admin && (
        <MenuItem asChild>
          <Link to="/operations/$section" params={{ section: "channels" }} onClick={closeDrawer}>
            <Gauge aria-hidden />
            {t("settings.operations")}
          </Link>
        </MenuItem>
      )}
    </>
  );
}
