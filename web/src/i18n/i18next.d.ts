import "i18next";
import type en from "./locales/en.json";
import type billing from "./locales/en/billing.json";
import type keys from "./locales/en/keys.json";
import type operations from "./locales/en/operations.json";
import type relay from "./locales/en/relay.json";

declare module "i18next" {
  interface CustomTypeOptions {
    defaultNS: "translation";
    resources: { translation: typeof en; billing: typeof billing; keys: typeof keys; operations: typeof operations; relay: typeof relay };
  }
}
