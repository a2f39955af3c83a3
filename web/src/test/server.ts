/** The fake network of unit tests: a request that no test expects is an error. */
import { setupServer } from "msw/node";

export const server = setupServer();
