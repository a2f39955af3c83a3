/** Menus in the page's look; behaviour and keyboard by Radix. */
import { useContext, type ComponentProps, type ReactNode } from "react";
import { DropdownMenu } from "radix-ui";
import { Check } from "lucide-react";
import { PortalHome } from "./portal-home";

/** Not modal: the page stays reachable behind an open menu. */
export function Menu({ children }: { children: ReactNode }): ReactNode {
  return <DropdownMenu.Root modal={false}>{children}</DropdownMenu.Root>;
}

export const MenuTrigger = DropdownMenu.Trigger;

export function MenuContent(props: ComponentProps<typeof DropdownMenu.Content>): ReactNode {
  const home = useContext(PortalHome);
  return (
    <DropdownMenu.Portal container={home}>
      <DropdownMenu.Content className="menu" sideOffset={6} collisionPadding={10} {...props} />
    </DropdownMenu.Portal>
  );
}

export function MenuItem({ danger = false, ...rest }: ComponentProps<typeof DropdownMenu.Item> & { danger?: boolean }): ReactNode {
  return <DropdownMenu.Item className="menu-item" data-danger={danger} {...rest} />;
}

export function MenuLabel({ children }: { children: ReactNode }): ReactNode {
  return <DropdownMenu.Label className="menu-label">{children}</DropdownMenu.Label>;
}

export function MenuSeparator(): ReactNode {
  return <DropdownMenu.Separator className="bg-line my-1 h-px" />;
}

interface Choice<T extends string> {
  value: T;
  label: ReactNode;
  note?: ReactNode;
}

/** One of several: the chosen one carries a tick. */
export function MenuChoices<T extends string>({
  value,
  choices,
  onChoose,
}: {
  value: T | null;
  choices: readonly Choice<T>[];
  onChoose: (value: T) => void;
}): ReactNode {
  const choose = (chosen: string): void => {
    const match = choices.find((choice) => choice.value === chosen);
    if (match !== undefined) onChoose(match.value);
  };
  return (
    <DropdownMenu.RadioGroup value={value ?? ""} onValueChange={choose}>
      {choices.map((choice) => (
        <DropdownMenu.RadioItem key={choice.value} value={choice.value} className="menu-item">
          <span className="flex min-w-0 flex-1 flex-col">
            <span className="truncate">{choice.label}</span>
            {choice.note !== undefined && <span className="text-muted text-xs whitespace-normal">{choice.note}</span>}
          </span>
          <DropdownMenu.ItemIndicator>
            <Check aria-hidden />
          </DropdownMenu.ItemIndicator>
        </DropdownMenu.RadioItem>
      ))}
    </DropdownMenu.RadioGroup>
  );
}
