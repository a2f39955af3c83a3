import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app/App";
import { preloadPage } from "./app/pages";
import { whenKnown } from "./api/credentials";
import { startI18n } from "./i18n";
import "./styles/index.css";

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no #root");

// All wait for the network: ask at once. A failure is shown by the route that needs the answer.
whenKnown().catch(() => undefined);
preloadPage(location.pathname);
await startI18n();

createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
