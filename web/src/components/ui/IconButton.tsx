import type { ReactNode, Ref } from "react";
import { Tooltip } from "radix-ui";
import { Button } from "./Button";

type Props = Omit<Parameters<typeof Button>[0], "aria-label"> & {
  /** Names the button for everyone: as its label and as its tooltip. */
  label: string;
  ref?: Ref<HTMLButtonElement>;
};

/** A button that shows only an icon. */
export function IconButton({ label, kind = "quiet", size = "icon", ...rest }: Props): ReactNode {
  return (
    <Tooltip.Root>
      <Tooltip.Trigger asChild>
        <Button kind={kind} size={size} aria-label={label} {...rest} />
      </Tooltip.Trigger>
      <Tooltip.Portal>
        <Tooltip.Content className="tooltip" sideOffset={6} collisionPadding={8}>
          {label}
        </Tooltip.Content>
      </Tooltip.Portal>
    </Tooltip.Root>
  );
}
