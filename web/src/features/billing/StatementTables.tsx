import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import type { Statement } from "@/api/types";
import { useMoney } from "./wallet";

/** A table that scrolls sideways by itself, by keyboard too, where the page is narrow. */
function Frame({ title, children }: { title: string; children: ReactNode }): ReactNode {
  return (
    <div className="card">
      <h3 className="mb-2 text-sm font-medium">{title}</h3>
      <div className="overflow-x-auto" tabIndex={0} role="group" aria-label={title}>
        <table className="ledger">{children}</table>
      </div>
    </div>
  );
}

export function ModelTable({ rows }: { rows: Statement["models"] }): ReactNode {
  const { t, i18n } = useTranslation("billing");
  const money = useMoney();
  const count = (value: number): string => value.toLocaleString(i18n.language);
  return (
    <Frame title={t("statement.byModel")}>
      <thead>
        <tr>
          <th scope="col">{t("statement.model")}</th>
          <th scope="col">{t("statement.cost")}</th>
          <th scope="col">{t("statement.calls")}</th>
          <th scope="col">{t("statement.input")}</th>
          <th scope="col">{t("statement.output")}</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row.model}>
            <th scope="row" className="wrap-anywhere">{row.model}</th>
            <td>{money(row.charged_nanos, "exact")}</td>
            <td>{count(row.calls)}</td>
            <td>{count(row.input_tokens)}</td>
            <td>{count(row.output_tokens)}</td>
          </tr>
        ))}
      </tbody>
    </Frame>
  );
}

export function KeyTable({ rows }: { rows: Statement["api_keys"] }): ReactNode {
  const { t, i18n } = useTranslation("billing");
  const money = useMoney();
  return (
    <Frame title={t("statement.byKey")}>
      <thead>
        <tr>
          <th scope="col">{t("statement.key")}</th>
          <th scope="col">{t("statement.cost")}</th>
          <th scope="col">{t("statement.calls")}</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row.api_key_id}>
            <th scope="row" className="wrap-anywhere">{row.name === "" ? t("charges.key") : row.name}</th>
            <td>{money(row.charged_nanos, "exact")}</td>
            <td>{row.calls.toLocaleString(i18n.language)}</td>
          </tr>
        ))}
      </tbody>
    </Frame>
  );
}
