import type { ButtonHTMLAttributes, ReactNode } from "react";
import { cva, type VariantProps } from "class-variance-authority";

/** The look of buttons, for links that look like one too. Targets are at least 44 px where fingers point. */
export const buttonClass = cva(
  "inline-flex cursor-pointer items-center justify-center gap-2 text-sm font-medium whitespace-nowrap transition-colors select-none disabled:cursor-default disabled:opacity-55 aria-disabled:opacity-55 [&_svg]:size-4 [&_svg]:shrink-0",
  {
    variants: {
      kind: {
        primary: "bg-accent text-on-accent hover:bg-accent-strong",
        outline: "border border-line bg-surface text-ink hover:bg-hover",
        danger: "border border-line bg-surface text-danger hover:bg-hover",
        quiet: "text-muted hover:bg-hover hover:text-ink data-[state=open]:bg-hover data-[state=open]:text-ink",
      },
      size: {
        normal: "min-h-11 px-4",
        icon: "size-11 md:size-9",
        small: "min-h-11 px-2.5 text-[0.8125rem] md:min-h-8",
        tool: "size-11 md:size-8",
      },
      shape: { soft: "rounded-xl", round: "rounded-full" },
    },
    defaultVariants: { kind: "outline", size: "normal", shape: "soft" },
  },
);

type Props = ButtonHTMLAttributes<HTMLButtonElement> &
  VariantProps<typeof buttonClass> & { ref?: React.Ref<HTMLButtonElement> };

export function Button({ kind, size, shape, className, type = "button", ...rest }: Props): ReactNode {
  return <button type={type} className={buttonClass({ kind, size, shape, className })} {...rest} />;
}
