import type { ReactNode } from "react";
import { Switch as Radix } from "radix-ui";

interface Props {
  checked: boolean;
  /** Names the switch for those who do not see what it stands beside. */
  label: string;
  disabled?: boolean;
  onChange: (checked: boolean) => void;
}

export function Switch({ checked, label, disabled = false, onChange }: Props): ReactNode {
  return (
    <Radix.Root className="switch" checked={checked} disabled={disabled} aria-label={label} onCheckedChange={onChange}>
      <Radix.Thumb className="switch-thumb" />
    </Radix.Root>
  );
}
