/** What is shown of one's own usage, as its address says. */
import { filterOf, searchOf, type Grouping, type StatisticsFilter } from "../statistics/filter";
import { usageSearch, type UsageSearch } from "./search";

/** What one's own rows can have in common. */
export const OWN_GROUPINGS: readonly Grouping[] = ["model", "key", "day", "hour"];

/** What an address says; what it cannot mean is left out. */
export function usageFilter(search: UsageSearch): StatisticsFilter {
  const filter = filterOf(search);
  return { ...filter, by: OWN_GROUPINGS.includes(filter.by) ? filter.by : "model" };
}

/** The address of a filter. */
export function searchOfUsage(filter: StatisticsFilter): UsageSearch {
  const { by, ...rest } = usageSearch({ ...searchOf(filter) });
  return by === undefined || by === "model" ? rest : { ...rest, by };
}
