/**
 * Where menus are put: inside of the landmark (or the dialog) that they belong to, so that a screen reader finds them
 * there. Without one they go to the end of the page.
 */
import { createContext } from "react";

export const PortalHome = createContext<HTMLElement | null>(null);
