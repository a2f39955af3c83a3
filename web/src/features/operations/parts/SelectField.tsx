import { useId, type ReactNode, type SelectHTMLAttributes } from "react";

type Props = SelectHTMLAttributes<HTMLSelectElement> & {
  label: string;
  hint?: string | undefined;
  error?: string | undefined;
};

/** A labelled choice of many, with its hint and its error beside it. The options are its children. */
export function SelectField({ label, hint, error, children, ...select }: Props): ReactNode {
  const id = useId();
  const described = [error === undefined ? null : `${id}-error`, hint === undefined ? null : `${id}-hint`].filter(Boolean).join(" ");
  return (
    <div className="flex flex-col gap-1.5">
      <label htmlFor={id} className="text-sm font-medium">
        {label}
      </label>
      <div className="field" data-invalid={error !== undefined}>
        <select id={id} aria-invalid={error !== undefined} aria-describedby={described || undefined} {...select}>
          {children}
        </select>
      </div>
      {error !== undefined && (
        <p id={`${id}-error`} className="text-danger text-sm" role="alert">
          {error}
        </p>
      )}
      {hint !== undefined && (
        <p id={`${id}-hint`} className="text-muted text-sm text-pretty">
          {hint}
        </p>
      )}
    </div>
  );
}
