/** The operator's pages: one section each. Those of the relay are chunks of their own. */
import { lazy, Suspense, useEffect, useRef, type ComponentType, type ReactNode } from "react";
import { Link, useParams } from "@tanstack/react-router";
import { Activity, Boxes, Cable, ChartColumn, ScrollText, Users, UsersRound, type LucideIcon } from "lucide-react";
import { useTranslation } from "react-i18next";
import { useStore } from "zustand";
import { credentials } from "@/api/credentials";
import { SidePage } from "@/app/SidePage";
import { buttonClass } from "@/components/ui/Button";
import { withTexts } from "@/i18n";
import { EventsSection } from "./events/EventsSection";
import { ProjectionsSection } from "./projections/ProjectionsSection";
import { isSection, SECTIONS, type Section } from "./sections";
import { UsersSection } from "./users/UsersSection";
import "./operations.css";

const ChannelsSection = lazy(() => withTexts("relay", async () => ({ default: (await import("@/features/relay/channels/ChannelsSection")).ChannelsSection })));
const ModelsSection = lazy(() => withTexts("relay", async () => ({ default: (await import("@/features/relay/models/ModelsSection")).ModelsSection })));
const GroupsSection = lazy(() => withTexts("relay", async () => ({ default: (await import("@/features/relay/groups/GroupsSection")).GroupsSection })));
const StatisticsSection = lazy(() =>
  // The choice of a period is the balance page's.
  withTexts("billing", () =>
    withTexts("relay", async () => ({ default: (await import("@/features/relay/statistics/StatisticsSection")).StatisticsSection })),
  ),
);

const PAGES: Readonly<Record<Section, { icon: LucideIcon; page: ComponentType }>> = {
  channels: { icon: Cable, page: ChannelsSection },
  models: { icon: Boxes, page: ModelsSection },
  groups: { icon: UsersRound, page: GroupsSection },
  statistics: { icon: ChartColumn, page: StatisticsSection },
  users: { icon: Users, page: UsersSection },
  events: { icon: ScrollText, page: EventsSection },
  projections: { icon: Activity, page: ProjectionsSection },
};

export function OperationsPage(): ReactNode {
  const { t } = useTranslation("operations");
  const { section = "" } = useParams({ strict: false });
  const isOperator = useStore(credentials, (state) => state.grant?.user.role === "admin");
  if (!isOperator || !isSection(section)) return <NothingHere />;
  const Page = PAGES[section].page;
  return (
    <SidePage title={t(`sections.${section}`)} wide>
      <Sections current={section} />
      <Suspense fallback={<Waiting />}>
        <Page key={section} />
      </Suspense>
    </SidePage>
  );
}

function Waiting(): ReactNode {
  const { t } = useTranslation();
  return <div role="status" aria-label={t("common.loading")} className="skeleton h-[22rem] w-full" />;
}

function Sections({ current }: { current: Section }): ReactNode {
  const { t } = useTranslation("operations");
  const box = useRef<HTMLElement>(null);
  // On a phone the last ones are outside of the screen.
  useEffect(() => {
    const link = box.current?.querySelector<HTMLElement>("[aria-current=page]");
    if (box.current !== null && link != null) box.current.scrollLeft = link.offsetLeft - box.current.offsetLeft - 48;
  }, [current]);
  return (
    <nav ref={box} aria-label={t("title")} className="scroll-thin -mx-1 -mb-2 overflow-x-auto px-1 py-1">
      <ul className="flex gap-1">
        {SECTIONS.map((section) => {
          const Icon = PAGES[section].icon;
          return (
            <li key={section}>
              <Link to="/operations/$section" params={{ section }} search={{}} activeOptions={{ includeSearch: false }} className="section-link">
                <Icon aria-hidden />
                {t(`sections.${section}`)}
              </Link>
            </li>
          );
        })}
      </ul>
    </nav>
  );
}

/** What everybody else sees: the same as at an address that leads nowhere. */
function NothingHere(): ReactNode {
  const { t } = useTranslation();
  return (
    <SidePage title={t("notFound.title")}>
      <div className="m-auto flex max-w-sm flex-col items-center gap-4 p-6 pt-24 text-center">
        <p className="text-muted">{t("notFound.text")}</p>
        <Link to="/" className={buttonClass({ kind: "primary" })}>
          {t("notFound.home")}
        </Link>
      </div>
    </SidePage>
  );
}
