/** The requests that a channel's form makes: all of a new channel, and of one that is there only what differs. */
import type { Channel, ChannelKeyInput, ChannelPatch, NewChannel, Rates } from "@/features/operations/types";
import { ratesOf, sameRates } from "../rates/rates";
import { draftOf, keysOf, type ChannelDraft } from "./draft";
import { modelWrite } from "./model-draft";
import { NO_SETTINGS, settingsWrite, type SettingsDraft } from "./settings-draft";

type Kind = "prices" | "costs";

function byName(draft: ChannelDraft, kind: Kind): Record<string, Rates> {
  return Object.fromEntries(draft.models.map((model) => [model.name.trim(), ratesOf(model[kind])]));
}

/** The settings that differ, in the words of a request. */
function changedSettings(draft: SettingsDraft, before: SettingsDraft): Partial<NewChannel> {
  const old = settingsWrite(before);
  const differ = Object.entries(settingsWrite(draft)).filter(([name, said]) => JSON.stringify(said) !== JSON.stringify(old[name as keyof typeof old]));
  const proxy = draft.proxy.trim();
  return {
    ...Object.fromEntries(differ),
    ...(proxy === before.proxy.trim() ? {} : { proxy: proxy === "" ? null : proxy }),
  };
}

/** The request that creates this channel. */
export function creation(draft: ChannelDraft): NewChannel {
  const keys = keysOf(draft.keys);
  const address = draft.base_url.trim();
  const upstream = {
    ...(address === "" ? {} : { base_url: address }),
    ...(keys.length > 0 ? { keys } : {}),
  };
  return {
    name: draft.name.trim(),
    provider: draft.provider,
    ...(draft.provider === "local" ? {} : upstream),
    models: draft.models.map(modelWrite),
    prices: byName(draft, "prices"),
    costs: byName(draft, "costs"),
    enabled: draft.enabled,
    ...changedSettings(draft.settings, NO_SETTINGS),
  };
}

function changedRates(draft: ChannelDraft, before: Channel, kind: Kind): Record<string, Rates> {
  const old = new Map(before.models.map((model) => [model.name, model[kind]]));
  const differ = Object.entries(byName(draft, kind)).filter(([name, rates]) => {
    const known = old.get(name);
    return known === undefined || !sameRates(rates, known);
  });
  return Object.fromEntries(differ);
}

/** All keys that shall be there; null where nothing changes about them. */
function changedKeys(draft: ChannelDraft, before: Channel): ChannelKeyInput[] | null {
  const added = keysOf(draft.keys);
  if (added.length === 0 && draft.kept.length === before.keys.length) return null;
  return [...draft.kept.map(({ name }) => ({ keep: name })), ...added];
}

/** Only what differs from `before`; null when nothing does. A price that did not change gets no new version. */
export function change(draft: ChannelDraft, before: Channel): ChannelPatch | null {
  const first = draftOf(before);
  const patch: ChannelPatch = changedSettings(draft.settings, first.settings);
  const models = draft.models.map(modelWrite);
  const keys = changedKeys(draft, before);
  const prices = changedRates(draft, before, "prices");
  const costs = changedRates(draft, before, "costs");
  if (draft.name.trim() !== before.name) patch.name = draft.name.trim();
  if (draft.provider !== "local" && draft.base_url.trim() !== first.base_url) patch.base_url = draft.base_url.trim();
  if (keys !== null) patch.keys = keys;
  if (JSON.stringify(models) !== JSON.stringify(first.models.map(modelWrite))) patch.models = models;
  if (Object.keys(prices).length > 0) patch.prices = prices;
  if (Object.keys(costs).length > 0) patch.costs = costs;
  if (draft.enabled !== before.enabled) patch.enabled = draft.enabled;
  return Object.keys(patch).length > 0 ? patch : null;
}
