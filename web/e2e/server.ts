/**
 * The real server under test: the one at `E2E_BASE_URL`, else our own `oblivious up` on a free port with an empty data
 * directory and the scriptable provider as its model.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { PASSWORD } from "./journey";

const ROOT = resolve(import.meta.dirname, "../..");
const READY_MS = 180_000;

export interface Server {
  readonly baseUrl: string;
  /** Ends the server like a power cut and starts it again on the same data; null when it is not ours to kill. */
  readonly killAndRestart: (() => Promise<void>) | null;
  /** Its administrator, whose password is the journey's, and the scriptable provider; null where we do not know them. */
  readonly operator: { readonly email: string; readonly providerUrl: string } | null;
  /** Where its log is. */
  readonly log: string;
  stop: () => Promise<void>;
}

const OPERATOR = "operator@example.org";

type Build = "debug" | "release";

/** The build `first`, or the other one where it is missing. `E2E_OBLIVIOUS` names another one. */
function binary(name: string, first: Build): string {
  const given = process.env[`E2E_${name.toUpperCase().replace("-", "_")}`];
  const found = [given, ...[first, "debug", "release"].map((kind) => join(ROOT, "target", kind, name))].find(
    (path) => path !== undefined && existsSync(path),
  );
  if (found === undefined) throw new Error(`${name} is not built: cargo build`);
  return found;
}

function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const probe = createServer();
    probe.once("error", fail);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => (typeof address === "object" && address !== null ? done(address.port) : fail(new Error("no port"))));
    });
  });
}

async function answers(url: string, process: ChildProcess | null): Promise<void> {
  const until = Date.now() + READY_MS;
  while (Date.now() < until) {
    if (process !== null && process.exitCode !== null) throw new Error(`the server ended with ${process.exitCode}`);
    const response = await fetch(url).catch(() => null);
    if (response !== null && response.status < 500) return;
    await pause(150);
  }
  throw new Error(`${url} did not answer in ${READY_MS} ms`);
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((done) => child.once("exit", () => done()));
}

export async function startServer(first: Build = "debug"): Promise<Server> {
  const given = process.env["E2E_BASE_URL"];
  if (given !== undefined) {
    await answers(`${given}/readyz`, null);
    const [email, providerUrl] = [process.env["E2E_ADMIN_EMAIL"], process.env["E2E_PROVIDER_URL"]];
    const operator = email !== undefined && providerUrl !== undefined ? { email, providerUrl } : null;
    return { baseUrl: given, killAndRestart: null, operator, log: "(not ours)", stop: async () => undefined };
  }
  const directory = mkdtempSync(join(tmpdir(), "oblivious-e2e-"));
  // Started as root, the database runs as another user, who must be able to pass; else it would move to /var/lib.
  chmodSync(directory, 0o711);
  const log = join(directory, "server.log");
  const providerPort = await freePort();
  const baseUrl = `http://127.0.0.1:${await freePort()}`;
  const providerUrl = `http://127.0.0.1:${providerPort}/v1`;
  const provider = spawn(binary("mock-provider", first), ["--port", String(providerPort)], { stdio: "ignore" });
  const environment = {
    ...process.env,
    OBLIVIOUS_HTTP_ADDR: new URL(baseUrl).host,
    OBLIVIOUS_DATA_DIR: join(directory, "data"),
    OBLIVIOUS_ADMIN_EMAIL: OPERATOR,
    OBLIVIOUS_ADMIN_PASSWORD: PASSWORD,
    OPENAI_API_KEY: "sk-mock",
    OPENAI_BASE_URL: providerUrl,
    OPENAI_MODELS: "mock-1,mock-2",
  };
  const up = async (): Promise<ChildProcess> => {
    const output = openSync(log, "a");
    const child = spawn(binary("oblivious", first), ["up"], { cwd: ROOT, env: environment, stdio: ["ignore", output, output] });
    await answers(`${baseUrl}/readyz`, child);
    return child;
  };
  let child = await up();
  return {
    baseUrl,
    operator: { email: OPERATOR, providerUrl },
    log,
    killAndRestart: async () => {
      child.kill("SIGKILL");
      await ended(child);
      child = await up();
    },
    stop: async () => {
      child.kill("SIGINT");
      await ended(child);
      provider.kill("SIGTERM");
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
