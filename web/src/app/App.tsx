import { useEffect, type ReactNode } from "react";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { credentials } from "@/api/credentials";
import { queryClient } from "@/api/query-client";
import { router } from "./router";

/** Signing out in any tab leaves this one at the sign-in page, which leads back to where it was. */
function useLeaveWhenSignedOut(): void {
  useEffect(
    () =>
      credentials.subscribe((now, before) => {
        if (now.status !== "signed-out" || before.status !== "signed-in") return;
        void router.navigate({ to: "/login", search: { next: router.state.location.href } });
      }),
    [],
  );
}

export function App(): ReactNode {
  useLeaveWhenSignedOut();
  return (
    <QueryClientProvider client={queryClient}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  );
}
