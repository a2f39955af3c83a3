import type { ReactNode } from "react";
import { Link } from "@tanstack/react-router";
import { Menu as MenuIcon, PanelLeftOpen, SquarePen } from "lucide-react";
import { useTranslation } from "react-i18next";
import { buttonClass } from "@/components/ui/Button";
import { IconButton } from "@/components/ui/IconButton";
import { setDrawer, toggleSidebar, useLayout } from "./layout-state";

/** What is open, and the way to the other conversations where the sidebar is not. */
export function TopBar({ title }: { title: string }): ReactNode {
  const { t } = useTranslation();
  const sidebarOpen = useLayout((state) => state.sidebarOpen);
  return (
    <header className="flex h-14 shrink-0 items-center gap-1 px-2 md:px-3">
      <span className="md:hidden">
        <IconButton label={t("sessions.open")} onClick={() => setDrawer(true)}>
          <MenuIcon aria-hidden />
        </IconButton>
      </span>
      {!sidebarOpen && (
        <span className="hidden md:block">
          <IconButton label={t("sessions.openSidebar")} onClick={toggleSidebar}>
            <PanelLeftOpen aria-hidden />
          </IconButton>
        </span>
      )}
      <h1 className="min-w-0 flex-1 truncate px-2 text-[0.9375rem] font-medium">{title}</h1>
      <Link to="/" aria-label={t("sessions.new")} title={t("sessions.new")} className={buttonClass({ kind: "quiet", size: "icon", className: sidebarOpen ? "md:hidden" : "" })}>
        <SquarePen aria-hidden />
      </Link>
    </header>
  );
}
