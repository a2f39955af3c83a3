import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { woff2Only } from "./scripts/woff2-only.ts";

/** Where `npm run dev` finds the server. */
const server = process.env["OBLIVIOUS_URL"] ?? "http://127.0.0.1:8080";

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
  },
  worker: { format: "es" },
  server: { proxy: { "/api": server, "/openapi.json": server } },
  test: {
    environment: "jsdom",
    include: ["src/**/*.test.{ts,tsx}"],
    setupFiles: ["src/test/setup.ts"],
    restoreMocks: true,
  },
});
