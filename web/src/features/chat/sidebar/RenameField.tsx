import { useEffect, useRef, type KeyboardEvent, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { isComposing } from "@/lib/ime";

/** The server's limit for titles, in characters. */
const MAX_TITLE = 200;

/** The title as an input: Enter and leaving save, Escape does not. Answers null when nothing is to be saved. */
export function RenameField({ title, onDone }: { title: string; onDone: (title: string | null) => void }): ReactNode {
  const { t } = useTranslation();
  const input = useRef<HTMLInputElement>(null);
  const done = useRef(false);

  // The closing menu takes the focus back first.
  useEffect(() => {
    const timer = setTimeout(() => input.current?.select(), 0);
    return () => clearTimeout(timer);
  }, []);

  const finish = (save: boolean): void => {
    if (done.current) return;
    done.current = true;
    const value = input.current?.value.trim() ?? "";
    onDone(save && value !== "" ? value : null);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (isComposing(event.nativeEvent)) return;
    if (event.key === "Enter") finish(true);
    if (event.key === "Escape") {
      event.stopPropagation();
      finish(false);
    }
  };
  return (
    <input
      ref={input}
      defaultValue={title}
      maxLength={MAX_TITLE}
      aria-label={t("sessions.renameLabel")}
      className="rename-field"
      onKeyDown={onKeyDown}
      onBlur={() => finish(true)}
    />
  );
}
