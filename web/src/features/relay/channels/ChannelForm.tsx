/** Adding or changing a channel: what everybody says in sight, the rest in folds that say what is in them. */
import { useEffect, useRef, type FormEvent, type ReactNode } from "react";
import { Link, useBlocker, useNavigate } from "@tanstack/react-router";
import { ArrowLeft, History } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Button, buttonClass } from "@/components/ui/Button";
import { Notice } from "@/components/ui/Notice";
import { Spinner } from "@/components/ui/Spinner";
import { notify } from "@/components/ui/toast";
import { focusHeading } from "@/features/operations/parts/focus-heading";
import type { Channel } from "@/features/operations/types";
import { ModelsPart } from "./form/ModelsPart";
import { NotesPart } from "./form/NotesPart";
import { RequestPart } from "./form/RequestPart";
import { RoutingPart } from "./form/RoutingPart";
import { UpstreamPart } from "./form/UpstreamPart";
import { useChannelForm } from "./use-channel-form";

/** `channel` is the one that is changed; null adds a new one. */
export function ChannelForm({ channel }: { channel: Channel | null }): ReactNode {
  const { t } = useTranslation("relay");
  const navigate = useNavigate();
  const box = useRef<HTMLFormElement>(null);
  const back = (): void => void navigate({ to: "/operations/$section", params: { section: "channels" }, search: {} });
  const form = useChannelForm(channel, () => {
    notify(channel === null ? t("form.added") : t("form.saved"));
    back();
  });

  useBlocker({
    // Being signed out is not a choice.
    shouldBlockFn: ({ next }) => form.isUnsaved() && !next.pathname.startsWith("/login") && !confirm(t("form.leave")),
    enableBeforeUnload: form.isUnsaved,
  });

  useEffect(() => {
    if (form.refusals > 0) box.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus();
  }, [form.refusals]);

  const onSubmit = (event: FormEvent): void => {
    event.preventDefault();
    form.submit();
  };
  return (
    <form ref={box} noValidate className="flex flex-col gap-6" onSubmit={onSubmit}>
      <div className="flex items-center gap-2">
        <Button kind="quiet" size="icon" aria-label={t("form.back")} title={t("form.back")} onClick={back}>
          <ArrowLeft aria-hidden />
        </Button>
        <h2 ref={focusHeading} tabIndex={-1} className="font-display min-w-0 flex-1 truncate text-2xl outline-none">
          {channel === null ? t("form.newTitle") : t("form.editTitle", { name: channel.name })}
        </h2>
        {channel !== null && (
          <Link to="/operations/$section" params={{ section: "channels" }} search={{ channel: channel.id, view: "history" }} className={buttonClass({ kind: "quiet" })}>
            <History aria-hidden />
            {t("history.link")}
          </Link>
        )}
      </div>
      <UpstreamPart form={form} />
      <ModelsPart form={form} />
      <div className="flex flex-col gap-3">
        <RoutingPart form={form} />
        <RequestPart form={form} />
        <NotesPart form={form} />
      </div>
      {form.failure !== null && <Notice text={form.failure.text} requestId={form.failure.requestId} />}
      <div className="form-end">
        <p role="status" className="text-danger min-w-0 flex-1 text-sm">
          {Object.keys(form.errors).length > 0 && t("form.complaints", { count: Object.keys(form.errors).length })}
        </p>
        <Button kind="quiet" onClick={back}>
          {t("cancel")}
        </Button>
        <Button kind="primary" type="submit" aria-disabled={form.busy}>
          {form.busy && <Spinner />}
          {channel === null ? t("form.add") : t("form.save")}
        </Button>
      </div>
    </form>
  );
}
