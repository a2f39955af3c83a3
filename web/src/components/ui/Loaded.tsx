/** What stands where rows would: while they load, when they cannot be had, when there are none, when there are more. */
import type { ReactNode } from "react";
import type { LucideIcon } from "lucide-react";
import { useTranslation } from "react-i18next";
import { ApiError } from "@/api/problem";
import { useErrorText } from "@/i18n/problems";
import type { PageTexts } from "@/i18n";
import { Button } from "./Button";
import { Notice } from "./Notice";
import { Spinner } from "./Spinner";

interface Query {
  data: unknown;
  error: unknown;
  refetch: () => unknown;
}

interface Props {
  query: Query;
  /** Whose words a failure is told in. */
  texts: PageTexts;
  /** Height that the content will about have, as CSS writes it. */
  height: string;
  children: ReactNode;
}

/** `children` once there is data; data that could not be refreshed stays, with the failure above it. */
export function Loaded({ query, texts, height, children }: Props): ReactNode {
  const { t } = useTranslation();
  const text = useErrorText(texts);
  const { data, error, refetch } = query;
  return (
    <>
      {error != null && (
        <Notice text={text(error)} requestId={error instanceof ApiError ? error.requestId : null}>
          <Button size="small" className="self-start" onClick={() => void refetch()}>
            {t("common.tryAgain")}
          </Button>
        </Notice>
      )}
      {data === undefined && error == null && (
        <div role="status" aria-label={t("common.loading")} className="skeleton w-full" style={{ height }} />
      )}
      {data !== undefined && children}
    </>
  );
}

export function Empty({ icon: Icon, title, text, children }: { icon: LucideIcon; title: string; text: string; children?: ReactNode }): ReactNode {
  return (
    <div className="border-line flex flex-col items-center gap-3 rounded-3xl border border-dashed px-6 py-12 text-center">
      <Icon aria-hidden className="text-muted size-7" />
      <p className="font-medium">{title}</p>
      <p className="text-muted max-w-md text-sm text-pretty">{text}</p>
      {children}
    </div>
  );
}

interface Pages {
  hasNextPage: boolean;
  isFetchingNextPage: boolean;
  fetchNextPage: () => unknown;
}

export function MoreButton({ query }: { query: Pages }): ReactNode {
  const { t } = useTranslation();
  if (!query.hasNextPage) return null;
  return (
    <Button className="self-center" disabled={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
      {query.isFetchingNextPage && <Spinner />}
      {t("common.more")}
    </Button>
  );
}
