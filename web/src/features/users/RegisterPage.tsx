import type { ReactNode } from "react";
import { Link, useSearch } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/ui/Button";
import { Field } from "@/components/ui/Field";
import { Notice } from "@/components/ui/Notice";
import { Spinner } from "@/components/ui/Spinner";
import { useTitle } from "@/lib/use-title";
import { register } from "./actions";
import { GuestPage } from "./GuestPage";
import { PasswordField } from "./PasswordField";
import { useEnter } from "./use-enter";
import { useSubmit } from "./use-submit";

export function RegisterPage(): ReactNode {
  const { t } = useTranslation();
  const enter = useEnter();
  const search = useSearch({ strict: false });
  useTitle(t("users.createAccount"));
  const { busy, refusal, onSubmit } = useSubmit(async (value) => {
    await register(value("email").trim(), value("username").trim(), value("password"));
    await enter();
  });
  return (
    <GuestPage title={t("users.registerTitle")} text={t("users.registerText")}>
      <form onSubmit={onSubmit} className="flex flex-col gap-5" noValidate>
        {refusal?.text != null && <Notice text={refusal.text} requestId={refusal.requestId} />}
        <Field
          label={t("users.email")}
          name="email"
          type="email"
          autoComplete="email"
          inputMode="email"
          autoCapitalize="none"
          spellCheck={false}
          required
          error={refusal?.fields["email"]}
        />
        <Field
          label={t("users.username")}
          name="username"
          autoComplete="nickname"
          autoCapitalize="none"
          spellCheck={false}
          required
          error={refusal?.fields["username"]}
        />
        <PasswordField
          autoComplete="new-password"
          required
          hint={t("users.passwordRule")}
          error={refusal?.fields["password"]}
        />
        <Button kind="primary" type="submit" disabled={busy}>
          {busy && <Spinner />}
          {t("users.createAccount")}
        </Button>
      </form>
      <p className="text-muted mt-6 text-center text-sm">
        {t("users.haveAccount")}{" "}
        <Link to="/login" search={search} className="link">
          {t("users.signIn")}
        </Link>
      </p>
    </GuestPage>
  );
}
