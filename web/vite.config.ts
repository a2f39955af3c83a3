import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { woff2Only } from "./scripts/woff2-only.ts";

/** Where `npm run dev` finds the server. */
const server = process.env["OBLIVIOUS_URL"] ?? "http://127.0.0.1:8080";

/**
 * What every visit needs, and the widgets of the chat, as one chunk each. Left alone, each page that shares some of it
 * cuts a further piece out of it, and small pieces compress badly.
 */
const GROUPS = [
  { name: "framework", test: /node_modules\/(?:react|react-dom|scheduler|@tanstack|i18next|react-i18next|use-sync-external-store|zustand|openapi-fetch)\// },
  {
    name: "widgets",
    test: /node_modules\/(?:@floating-ui|react-remove-scroll|react-remove-scroll-bar|react-style-singleton|use-callback-ref|use-sidecar|aria-hidden|@radix-ui\/react-(?!tabs|alert-dialog|select|switch|checkbox|radio))/,
  },
];

export default defineConfig({
  plugins: [woff2Only(), react(), tailwindcss()],
  resolve: { alias: { "@": new URL("./src", import.meta.url).pathname } },
  build: {
    target: "es2022",
    manifest: true,
    sourcemap: false,
    // The size gate (scripts/size-gate.ts) speaks for us.
    chunkSizeWarningLimit: 1500,
    modulePreload: { polyfill: false },
    rolldownOptions: { output: { codeSplitting: { groups: GROUPS } } },
  },
  worker: { format: "es" },
  server: { proxy: { "/api": server, "/v1": server, "/openapi.json": server } },
  test: {
    environment: "jsdom",
    include: ["src/**/*.test.{ts,tsx}"],
    setupFiles: ["src/test/setup.ts"],
    restoreMocks: true,
  },
});
