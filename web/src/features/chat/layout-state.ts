/** Which parts of the frame are open. The wide sidebar's state outlives the tab, the drawer's does not. */
import { create } from "zustand";
import { readStored, store } from "@/lib/storage";

const KEY = "oblivious.sidebar";

interface LayoutState {
  drawerOpen: boolean;
  sidebarOpen: boolean;
  shortcutsOpen: boolean;
}

export const useLayout = create<LayoutState>(() => ({
  drawerOpen: false,
  sidebarOpen: readStored(KEY) !== "closed",
  shortcutsOpen: false,
}));

export function setDrawer(open: boolean): void {
  useLayout.setState({ drawerOpen: open });
}

export function closeDrawer(): void {
  setDrawer(false);
}

export function toggleSidebar(): void {
  const open = !useLayout.getState().sidebarOpen;
  store(KEY, open ? null : "closed");
  useLayout.setState({ sidebarOpen: open });
}

export function setShortcuts(open: boolean): void {
  useLayout.setState({ shortcutsOpen: open });
}
