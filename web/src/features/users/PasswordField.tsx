import { useState, type ReactNode } from "react";
import { Eye, EyeOff } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Field } from "@/components/ui/Field";

type Props = Omit<Parameters<typeof Field>[0], "type" | "after" | "label" | "name">;

/** A password that can be looked at before it is sent. */
export function PasswordField(props: Props): ReactNode {
  const { t } = useTranslation();
  const [shown, setShown] = useState(false);
  const label = shown ? t("users.hidePassword") : t("users.showPassword");
  const toggle = (
    <button type="button" className="field-tool" aria-label={label} title={label} onClick={() => setShown(!shown)}>
      {shown ? <EyeOff aria-hidden /> : <Eye aria-hidden />}
    </button>
  );
  return <Field label={t("users.password")} name="password" type={shown ? "text" : "password"} after={toggle} {...props} />;
}
