/** The operator's pages: one section each for channels, models, users, the event log and projections. */
import { useEffect, useRef, type ComponentType, type ReactNode } from "react";
import { Link, useParams } from "@tanstack/react-router";
import { Activity, Boxes, Cable, ScrollText, Users, type LucideIcon } from "lucide-react";
import { useTranslation } from "react-i18next";
import { useStore } from "zustand";
import { credentials } from "@/api/credentials";
import { SidePage } from "@/app/SidePage";
import { buttonClass } from "@/components/ui/Button";
import { ChannelsSection } from "@/features/relay/channels/ChannelsSection";
import { EventsSection } from "./events/EventsSection";
import { ModelsSection } from "@/features/relay/models/ModelsSection";
import { ProjectionsSection } from "./projections/ProjectionsSection";
import { isSection, SECTIONS, type Section } from "./sections";
import { UsersSection } from "./users/UsersSection";
import "./operations.css";

const PAGES: Readonly<Record<Section, { icon: LucideIcon; page: ComponentType }>> = {
  channels: { icon: Cable, page: ChannelsSection },
  models: { icon: Boxes, page: ModelsSection },
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
      <Page key={section} />
    </SidePage>
  );
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
