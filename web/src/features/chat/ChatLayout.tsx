/** The frame of the signed-in page: conversations on the left (a drawer on phones), the open one beside them. */
import { lazy, Suspense, useState, type ReactNode } from "react";
import { Outlet } from "@tanstack/react-router";
import { PanelLeftClose, X } from "lucide-react";
import { Dialog, Tooltip } from "radix-ui";
import { useTranslation } from "react-i18next";
import { focusSelf } from "@/components/ui/focus-self";
import { IconButton } from "@/components/ui/IconButton";
import { PortalHome } from "@/components/ui/portal-home";
import { loadToaster } from "@/components/ui/toast";
import { useTheme } from "@/lib/theme";
import { setDrawer, toggleSidebar, useLayout } from "./layout-state";
import { useEventStream } from "./live/use-event-stream";
import { Shortcuts } from "./Shortcuts";
import { Sidebar } from "./sidebar/Sidebar";
import { useShortcuts } from "./use-shortcuts";

export { NewChatPage } from "./thread/NewChatPage";
export { ThreadPage } from "./thread/ThreadPage";

const Toaster = lazy(loadToaster);

export function ChatLayout(): ReactNode {
  const { t } = useTranslation();
  const theme = useTheme((state) => state.theme);
  const sidebarOpen = useLayout((state) => state.sidebarOpen);
  const [main, setMain] = useState<HTMLElement | null>(null);
  const [aside, setAside] = useState<HTMLElement | null>(null);
  useEventStream();
  useShortcuts();
  return (
    <Tooltip.Provider delayDuration={400}>
      <a href="#main" className="skip-link">
        {t("common.skip")}
      </a>
      <div className="flex h-dvh overflow-hidden">
        {sidebarOpen && (
          <aside ref={setAside} aria-label={t("sessions.sidebar")} className="border-line bg-sunken hidden w-[17.5rem] shrink-0 border-r md:block">
            <PortalHome value={aside}>
              <Sidebar
                tools={
                  <IconButton label={t("sessions.closeSidebar")} onClick={toggleSidebar}>
                    <PanelLeftClose aria-hidden />
                  </IconButton>
                }
              />
            </PortalHome>
          </aside>
        )}
        <main ref={setMain} id="main" tabIndex={-1} className="relative flex min-w-0 flex-1 flex-col outline-none">
          <PortalHome value={main}>
            <Outlet />
          </PortalHome>
        </main>
      </div>
      <Drawer />
      <Shortcuts />
      <Suspense fallback={null}>
        <Toaster theme={theme} position="top-center" toastOptions={{ className: "toast" }} />
      </Suspense>
    </Tooltip.Provider>
  );
}

function Drawer(): ReactNode {
  const { t } = useTranslation();
  const open = useLayout((state) => state.drawerOpen);
  const [home, setHome] = useState<HTMLElement | null>(null);
  return (
    <Dialog.Root open={open} onOpenChange={setDrawer}>
      <Dialog.Portal>
        <Dialog.Overlay className="overlay md:hidden" />
        <Dialog.Content ref={setHome} className="drawer md:hidden" aria-describedby={undefined} onOpenAutoFocus={focusSelf}>
          <Dialog.Title className="sr-only">{t("sessions.label")}</Dialog.Title>
          <PortalHome value={home}>
            <Sidebar
              tools={
                <Dialog.Close asChild>
                  <IconButton label={t("common.close")}>
                    <X aria-hidden />
                  </IconButton>
                </Dialog.Close>
              }
            />
          </PortalHome>
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
