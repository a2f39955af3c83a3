/** A change of one model's prices and costs, in place. What did not change is not sent: it gets no new version. */
import { useState } from "react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { networkError } from "@/api/problem";
import { useProblemText } from "@/i18n/problems";
import { ratesDraft, ratesOf, ratesProblems, sameRates, type RatesDraft, type Tier } from "../channels/draft";
import { place } from "../channels/placement";
import { useDraftText } from "../channels/use-channel-form";
import type { Channel, ChannelModel, ChannelPatch } from "@/features/operations/types";
import { patchChannel } from "@/features/operations/writes";

type Kind = "prices" | "costs";
type TierErrors = Partial<Record<Tier, string>>;

export interface PriceChange {
  rates: Record<Kind, RatesDraft>;
  edit: (kind: Kind, rates: RatesDraft) => void;
  errors: Record<Kind, TierErrors>;
  failure: string | null;
  busy: boolean;
  submit: () => void;
}

const NONE: Record<Kind, TierErrors> = { prices: {}, costs: {} };

/** The request for what differs; null when nothing does. */
export function priceChange(model: ChannelModel, rates: Record<Kind, RatesDraft>): ChannelPatch | null {
  const patch: ChannelPatch = {};
  for (const kind of ["prices", "costs"] as const) {
    const next = ratesOf(rates[kind]);
    if (!sameRates(next, model[kind])) patch[kind] = { [model.name]: next };
  }
  return Object.keys(patch).length > 0 ? patch : null;
}

export function usePriceChange(channel: Channel, current: ChannelModel, onSaved: () => void): PriceChange {
  // As it was when the editor was opened: what somebody else changes meanwhile is not put back.
  const [model] = useState(current);
  const client = useQueryClient();
  const draftText = useDraftText();
  const problemText = useProblemText("operations");
  const [rates, setRates] = useState(() => ({ prices: ratesDraft(model.prices), costs: ratesDraft(model.costs) }));
  const [errors, setErrors] = useState(NONE);
  const [failure, setFailure] = useState<string | null>(null);

  const check = (kind: Kind): TierErrors =>
    Object.fromEntries(Object.entries(ratesProblems(rates[kind], kind === "prices")).map(([tier, problem]) => [tier, draftText(problem)]));

  const refused = (cause: unknown): void => {
    const { fields, rest } = place(networkError(cause), [model.name]);
    const of = (kind: Kind): TierErrors =>
      Object.fromEntries(
        Object.entries(fields)
          .filter(([at]) => at.startsWith(`models.0.${kind}.`))
          .map(([at, { code, detail }]) => [at.slice(`models.0.${kind}.`.length), problemText(code, detail)]),
      );
    const placed = { prices: of("prices"), costs: of("costs") };
    setErrors(placed);
    const unplaced = rest ?? Object.entries(fields).find(([at]) => !/^models\.0\.(?:prices|costs)\./.test(at))?.[1];
    setFailure(unplaced === undefined ? null : problemText(unplaced.code, unplaced.detail));
  };

  const save = useMutation({
    mutationFn: async () => {
      const patch = priceChange(model, rates);
      if (patch !== null) await patchChannel(client, channel.id, patch);
    },
    onSuccess: onSaved,
    onError: refused,
  });

  const submit = (): void => {
    if (save.isPending) return;
    const found = { prices: check("prices"), costs: check("costs") };
    setErrors(found);
    setFailure(null);
    if (Object.keys({ ...found.prices, ...found.costs }).length === 0) save.mutate();
  };

  const edit = (kind: Kind, next: RatesDraft): void => setRates((now) => ({ ...now, [kind]: next }));
  return { rates, edit, errors, failure, busy: save.isPending, submit };
}
