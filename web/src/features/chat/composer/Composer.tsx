/** Where messages are written. Sending and stopping are the same place: there is one reply at a time. */
import { useEffect, useImperativeHandle, type KeyboardEvent, type ReactNode, type Ref } from "react";
import { Link } from "@tanstack/react-router";
import { ArrowUp, Square } from "lucide-react";
import { useTranslation } from "react-i18next";
import { useStore } from "zustand";
import { credentials } from "@/api/credentials";
import { Button, buttonClass } from "@/components/ui/Button";
import { IconButton } from "@/components/ui/IconButton";
import { Notice } from "@/components/ui/Notice";
import { Spinner } from "@/components/ui/Spinner";
import { errorText } from "@/i18n/problems";
import { COMPOSER_ID } from "../use-shortcuts";
import { autosize } from "./autosize";
import { ComposerNote } from "./ComposerNote";
import { CreditRefusal } from "./CreditRefusal";
import { composerAction } from "./keys";
import { ModelPicker } from "./ModelPicker";
import { useModels } from "./models";
import { useComposer, type Composed } from "./use-composer";

export interface ComposerHandle {
  /** Puts text into the composer, to be looked at and sent by the reader. */
  suggest: (text: string) => void;
}

interface Props {
  place: string;
  parentId: string | null | undefined;
  /** Whether a reply is being written; stopping is then offered instead of sending. */
  busy: boolean;
  onSend: (message: Composed) => Promise<void>;
  onStop: () => void;
  ref?: Ref<ComposerHandle>;
}

export function Composer({ place, parentId, busy, onSend, onStop, ref }: Props): ReactNode {
  const { t } = useTranslation();
  const userId = useStore(credentials, (state) => state.grant?.user.id ?? "");
  const { current } = useModels();
  const { area, sending, blank, failure, changed, submit, dismiss } = useComposer({
    userId,
    place,
    model: current?.id ?? null,
    parentId,
    send: onSend,
  });

  // A keyboard that slides in over the page must not do so unasked.
  useEffect(() => {
    if (matchMedia("(pointer: fine)").matches) area.current?.focus({ preventScroll: true });
    autosize(area.current);
  }, [place, area]);

  useImperativeHandle(ref, () => ({
    suggest: (text) => {
      if (area.current === null) return;
      area.current.value = text;
      area.current.focus();
      autosize(area.current);
      changed();
    },
  }));

  const onKeyDown = (event: KeyboardEvent): void => {
    const action = composerAction(event.nativeEvent);
    if (action === "stop" && busy) onStop();
    if (action !== "send") return;
    event.preventDefault();
    if (!busy) submit();
  };

  return (
    <form
      className="composer-dock"
      onSubmit={(event) => {
        event.preventDefault();
        if (!busy) submit();
      }}
    >
      {failure !== null && (
        <Notice
          text={failure.code === "insufficient_credit" ? <CreditRefusal failure={failure} /> : errorText(t, failure)}
          requestId={failure.code === "insufficient_credit" ? null : failure.requestId}
        >
          <div className="flex flex-wrap gap-2">
            <Button size="small" type="submit" disabled={busy}>
              {t("common.tryAgain")}
            </Button>
            {failure.code === "insufficient_credit" && (
              <Link to="/balance" className={buttonClass({ size: "small" })}>
                {t("credit.see")}
              </Link>
            )}
            <Button size="small" kind="quiet" onClick={dismiss}>
              {t("common.dismiss")}
            </Button>
          </div>
        </Notice>
      )}
      <div className="composer">
        <textarea
          ref={area}
          id={COMPOSER_ID}
          rows={1}
          aria-label={t("composer.label")}
          placeholder={t("composer.placeholder")}
          onKeyDown={onKeyDown}
          onInput={() => {
            autosize(area.current);
            changed();
          }}
        />
        <div className="flex items-center justify-between gap-2 px-2 pb-2">
          <ModelPicker />
          {busy ? (
            <IconButton label={t("composer.stop")} kind="primary" shape="round" onClick={onStop}>
              <Square aria-hidden className="fill-current" />
            </IconButton>
          ) : (
            <IconButton label={t("composer.send")} kind="primary" shape="round" type="submit" disabled={sending || blank}>
              {sending ? <Spinner /> : <ArrowUp aria-hidden />}
            </IconButton>
          )}
        </div>
      </div>
      <ComposerNote />
    </form>
  );
}
