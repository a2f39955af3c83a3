/** What the reader has, what it went for, and every movement behind it. */
import type { ReactNode } from "react";
import { Tabs } from "radix-ui";
import { useTranslation } from "react-i18next";
import { SidePage } from "@/app/SidePage";
import "./billing.css";
import { Charges } from "./Charges";
import { Entries } from "./Entries";
import { StatementSection } from "./StatementSection";
import { Summary } from "./Summary";

export function BalancePage(): ReactNode {
  const { t } = useTranslation("billing");
  return (
    <SidePage title={t("title")}>
      <Summary />
      <StatementSection />
      <section aria-labelledby="movements">
        <h2 id="movements" className="section-title mb-4">
          {t("movements")}
        </h2>
        <Tabs.Root defaultValue="charges">
          <Tabs.List aria-label={t("movements")} className="segments mb-4">
            <Tabs.Trigger value="charges" className="segment">
              {t("charges.title")}
            </Tabs.Trigger>
            <Tabs.Trigger value="entries" className="segment">
              {t("entries.title")}
            </Tabs.Trigger>
          </Tabs.List>
          <Tabs.Content value="charges" className="tab-panel">
            <Charges />
          </Tabs.Content>
          <Tabs.Content value="entries" className="tab-panel">
            <Entries />
          </Tabs.Content>
        </Tabs.Root>
      </section>
    </SidePage>
  );
}
