/** The life of a change of prices in place. What did not change is not sent: it gets no new version. */
import { useState } from "react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { networkError } from "@/api/problem";
import { useProblemText } from "@/i18n/problems";
import type { Channel, ChannelModel } from "@/features/operations/types";
import { place } from "../channels/placement";
import { useDraftText } from "../channels/use-channel-form";
import { ratesDraft, ratesProblems, type RatesDraft } from "../rates/rates";
import type { RatesErrors } from "../rates/RatesFields";
import { setPrices } from "../writes";
import { KINDS, momentOf, priceChange, type Kind } from "./price-change";

export interface PriceChange {
  rates: Record<Kind, RatesDraft>;
  edit: (kind: Kind, rates: RatesDraft) => void;
  /** When it begins, as the field for it says; empty is at once. */
  from: string;
  setFrom: (from: string) => void;
  errors: Record<Kind, RatesErrors>;
  fromError: string | undefined;
  refusals: number;
  failure: string | null;
  busy: boolean;
  submit: () => void;
}

interface Outcome {
  errors: Record<Kind, RatesErrors>;
  fromError: string | undefined;
  failure: string | null;
}

const NONE: Outcome = { errors: { prices: {}, costs: {} }, fromError: undefined, failure: null };

export function usePriceChange(channel: Channel, current: ChannelModel, onSaved: () => void): PriceChange {
  // As it was when the editor was opened: what somebody else changes meanwhile is not put back.
  const [model] = useState(current);
  const client = useQueryClient();
  const draftText = useDraftText();
  const problemText = useProblemText("relay");
  const [rates, setRates] = useState(() => ({ prices: ratesDraft(model.prices), costs: ratesDraft(model.costs) }));
  const [from, setFrom] = useState("");
  const [outcome, setOutcome] = useState<Outcome>(NONE);
  const [refusals, setRefusals] = useState(0);

  const refuse = (found: Partial<Outcome>): void => {
    setOutcome({ ...NONE, ...found });
    setRefusals((count) => count + 1);
  };

  const refused = (cause: unknown): void => {
    const { fields, rest } = place(networkError(cause), [model.name]);
    const of = (kind: Kind): RatesErrors =>
      Object.fromEntries(
        Object.entries(fields)
          .filter(([at]) => at.startsWith(`models.0.${kind}.`))
          .map(([at, { code, detail }]) => [at.slice(`models.0.${kind}.`.length), problemText(code, detail)]),
      );
    const unplaced = rest ?? Object.entries(fields).find(([at]) => !/^models\.0\.(?:prices|costs)\./.test(at))?.[1];
    refuse({ errors: { prices: of("prices"), costs: of("costs") }, failure: unplaced === undefined ? null : problemText(unplaced.code, unplaced.detail) });
  };

  const save = useMutation({
    mutationFn: async (begins: Date | null) => {
      const change = priceChange(model, rates, begins);
      if (change !== null) await setPrices(client, channel.id, [change]);
    },
    onSuccess: onSaved,
    onError: refused,
  });

  const submit = (): void => {
    if (save.isPending) return;
    const check = (kind: Kind): RatesErrors =>
      Object.fromEntries(Object.entries(ratesProblems(rates[kind], kind === "prices")).map(([at, problem]) => [at, draftText(problem)]));
    const errors = { prices: check("prices"), costs: check("costs") };
    const begins = from === "" ? null : momentOf(from, new Date());
    const fromError = from !== "" && begins === null ? draftText("not_a_date") : undefined;
    const sound = fromError === undefined && KINDS.every((kind) => Object.keys(errors[kind]).length === 0);
    if (!sound) return refuse({ errors, fromError });
    setOutcome(NONE);
    save.mutate(begins);
  };

  const edit = (kind: Kind, next: RatesDraft): void => setRates((now) => ({ ...now, [kind]: next }));
  return { rates, edit, from, setFrom, ...outcome, refusals, busy: save.isPending, submit };
}
