import { useId, type InputHTMLAttributes, type ReactNode, type Ref } from "react";

type Props = InputHTMLAttributes<HTMLInputElement> & {
  label: string;
  /** What the field accepts, shown before anything goes wrong. */
  hint?: string;
  error?: string | undefined;
  /** Beside the input, inside its frame. */
  after?: ReactNode;
  ref?: Ref<HTMLInputElement>;
};

/** A labelled input with its hint and its error beside it. */
export function Field({ label, hint, error, after, ...input }: Props): ReactNode {
  const id = useId();
  const hintId = `${id}-hint`;
  const errorId = `${id}-error`;
  const described = [error === undefined ? null : errorId, hint === undefined ? null : hintId].filter(Boolean).join(" ");
  return (
    <div className="flex flex-col gap-1.5">
      <label htmlFor={id} className="text-sm font-medium">
        {label}
      </label>
      <div className="field" data-invalid={error !== undefined}>
        <input id={id} aria-invalid={error !== undefined} aria-describedby={described || undefined} {...input} />
        {after}
      </div>
      {error !== undefined && (
        <p id={errorId} className="text-danger text-sm" role="alert">
          {error}
        </p>
      )}
      {hint !== undefined && (
        <p id={hintId} className="text-muted text-sm">
          {hint}
        </p>
      )}
    </div>
  );
}
