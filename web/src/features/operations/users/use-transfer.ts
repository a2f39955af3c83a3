/**
 * A movement of money that happens once. Its idempotency key is made when it is first sent and stays with it until the
 * server has said yes or no: a double click, a retry after a lost answer and a dialog that was closed in between all
 * send the same key with the same body. While the outcome is unknown nothing else can be booked for this user. A dialog
 * books once: a second click that arrives while it closes is not another booking.
 */
import { useCallback, useRef, useState } from "react";
import { type ApiError, networkError } from "@/api/problem";
import { randomId } from "@/lib/uuid";
import type { Movement } from "../types";
import { bookTransfer, type Transfer } from "../writes";

interface Attempt {
  readonly key: string;
  readonly transfer: Transfer;
}

/** Attempts without a known outcome, by user. They outlive the dialog. */
const open = new Map<string, Attempt>();

/** Whether the server may have booked although it did not say so. */
function isUnknown(error: ApiError): boolean {
  return error.status === 0 || error.status >= 500;
}

export interface TransferState {
  busy: boolean;
  failure: ApiError | null;
  /** The movement whose outcome is unknown; `send` repeats it. */
  unsettled: Transfer | null;
  /** Resolves with the answer, or null when it failed, is on its way already, or was booked. */
  send: (transfer: Transfer) => Promise<Movement | null>;
  /** Gives the unsettled movement up: the operator has looked whether it was booked. */
  forget: () => void;
}

export function useTransfer(userId: string): TransferState {
  /** Busy, or done. */
  const closed = useRef(false);
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const [unsettled, setUnsettled] = useState<Transfer | null>(() => open.get(userId)?.transfer ?? null);

  const send = useCallback(
    async (transfer: Transfer): Promise<Movement | null> => {
      if (closed.current) return null;
      closed.current = true;
      setBusy(true);
      const attempt = open.get(userId) ?? { key: randomId(), transfer };
      open.set(userId, attempt);
      try {
        const answer = await bookTransfer(userId, attempt.transfer, attempt.key);
        open.delete(userId);
        setUnsettled(null);
        setFailure(null);
        return answer;
      } catch (cause) {
        const error = networkError(cause);
        closed.current = false;
        if (!isUnknown(error)) open.delete(userId);
        setUnsettled(isUnknown(error) ? attempt.transfer : null);
        setFailure(error);
        return null;
      } finally {
        setBusy(false);
      }
    },
    [userId],
  );

  const forget = useCallback((): void => {
    open.delete(userId);
    setUnsettled(null);
    setFailure(null);
  }, [userId]);

  return { busy, failure, unsettled, send, forget };
}
