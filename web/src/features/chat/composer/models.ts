/** Which model answers next: the reader's choice while it exists, else the server's default. */
import { useQuery } from "@tanstack/react-query";
import { create } from "zustand";
import type { Model } from "@/api/types";
import { readStored, store } from "@/lib/storage";
import { modelsQuery } from "../queries";

const KEY = "oblivious.model";

const useChoice = create<{ chosen: string | null }>(() => ({ chosen: readStored(KEY) }));

export function chooseModel(id: string): void {
  store(KEY, id);
  useChoice.setState({ chosen: id });
}

const NONE: readonly Model[] = [];

/** All models, and the one in use; undefined until they are known. */
export function useModels(): { models: readonly Model[]; current: Model | undefined } {
  const chosen = useChoice((state) => state.chosen);
  const { data } = useQuery(modelsQuery());
  const models = data?.items ?? NONE;
  const current = models.find((model) => model.id === chosen) ?? models.find((model) => model.default) ?? models[0];
  return { models, current };
}
