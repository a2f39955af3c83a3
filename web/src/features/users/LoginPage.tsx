import type { ReactNode } from "react";
import { Link, useSearch } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/ui/Button";
import { Field } from "@/components/ui/Field";
import { Notice } from "@/components/ui/Notice";
import { Spinner } from "@/components/ui/Spinner";
import { useTitle } from "@/lib/use-title";
import { signIn } from "./actions";
import { GuestPage } from "./GuestPage";
import { PasswordField } from "./PasswordField";
import { useEnter } from "./use-enter";
import { useSubmit } from "./use-submit";

export function LoginPage(): ReactNode {
  const { t } = useTranslation();
  const enter = useEnter();
  const search = useSearch({ strict: false });
  useTitle(t("users.signIn"));
  const { busy, refusal, onSubmit } = useSubmit(async (value) => {
    await signIn(value("email").trim(), value("password"));
    await enter();
  });
  return (
    <GuestPage title={t("users.welcomeBack")} text={t("users.signInText")}>
      <form onSubmit={onSubmit} className="flex flex-col gap-5" noValidate>
        {refusal?.text != null && <Notice text={refusal.text} requestId={refusal.requestId} />}
        <Field
          label={t("users.email")}
          name="email"
          type="email"
          autoComplete="username"
          inputMode="email"
          autoCapitalize="none"
          spellCheck={false}
          required
          error={refusal?.fields["email"]}
        />
        <PasswordField autoComplete="current-password" required error={refusal?.fields["password"]} />
        <Button kind="primary" type="submit" disabled={busy}>
          {busy && <Spinner />}
          {t("users.signIn")}
        </Button>
      </form>
      <p className="text-muted mt-6 text-center text-sm">
        {t("users.noAccount")}{" "}
        <Link to="/register" search={search} className="link">
          {t("users.createAccount")}
        </Link>
      </p>
    </GuestPage>
  );
}
