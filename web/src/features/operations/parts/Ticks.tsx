import type { ReactNode } from "react";

interface Props<T extends string> {
  legend: string;
  hint?: string;
  options: readonly { value: T; label: string }[];
  chosen: readonly T[];
  onChange: (chosen: readonly T[]) => void;
}

/** Any of a few, side by side. The answer has the order of the options. */
export function Ticks<T extends string>({ legend, hint, options, chosen, onChange }: Props<T>): ReactNode {
  const toggle = (value: T): void =>
    onChange(options.map((option) => option.value).filter((each) => (each === value ? !chosen.includes(each) : chosen.includes(each))));
  return (
    <fieldset className="flex flex-col gap-1.5">
      <legend className="mb-1.5 text-sm font-medium">{legend}</legend>
      <div className="flex flex-wrap gap-1.5">
        {options.map(({ value, label }) => (
          <label key={value} className="tick">
            <input type="checkbox" checked={chosen.includes(value)} onChange={() => toggle(value)} />
            <span className="wrap-anywhere">{label}</span>
          </label>
        ))}
      </div>
      {hint !== undefined && <p className="text-muted text-sm text-pretty">{hint}</p>}
    </fieldset>
  );
}
