/** What the page knows about its event stream, for the notices that need it. */
import { create } from "zustand";
import type { Connection } from "./stream";

export const useConnection = create<{ state: Connection; everOpen: boolean }>(() => ({
  state: "connecting",
  everOpen: false,
}));
