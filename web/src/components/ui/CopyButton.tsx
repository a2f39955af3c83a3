import { useEffect, useState, type ReactNode } from "react";
import { Check, Copy } from "lucide-react";
import { useTranslation } from "react-i18next";
import { copyText } from "@/lib/clipboard";
import { Button } from "./Button";

const SHOWN_MS = 1_600;

/** Copies `text`; the icon and the name say for a moment that it worked. */
export function CopyButton({ text, label }: { text: string; label: string }): ReactNode {
  const { t } = useTranslation();
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return undefined;
    const timer = setTimeout(() => setCopied(false), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [copied]);
  const name = copied ? t("common.copied") : label;
  return (
    <Button kind="quiet" size="tool" aria-label={name} title={name} onClick={() => void copyText(text).then(setCopied)}>
      {copied ? <Check aria-hidden /> : <Copy aria-hidden />}
    </Button>
  );
}
